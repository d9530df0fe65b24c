// A picture of any shape in a network's fixed frame: scaled as a whole, centred, grey at the sides.
// As Ultralytics' YOLO exports are run (LetterBox), so that the networks see what they saw in
// training.
#pragma once

#include "vision/geometry.h"
#include "vision/image.h"

struct letterbox {
    int width, height;      // of the frame
    float scale_x, scale_y; // picture to frame; equal but when stretched
    int left, top;          // of the picture in the frame
    int picture_width, picture_height;
};

struct letterbox letterbox_fit(int width, int height, int picture_width, int picture_height);
struct letterbox letterbox_stretch(int width, int height, int picture_width, int picture_height);

// RGB planes of 3 x height x width floats 0..1, all of them written.
void letterbox_planes(const struct letterbox *frame, const struct image *picture, float *planes);

// From the frame's pixels to the picture's, clipped to it.
struct box letterbox_undo(const struct letterbox *frame, struct box box);
