#!/usr/bin/python3
"""Small truths about the detector's training. Run by tests/tools; needs python3-torch, python3-pil."""
import os
import random
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import numpy as np
import torch
from PIL import Image

import draw
import learn
import model_file
import net as nets
import labelled
import score

NAMES = ("placa_transformador", "it's \"one\"")


def rectangles(folder, count):
    """Grey pictures with one bright rectangle each."""
    for part in ("images", "labels"):
        os.makedirs(os.path.join(folder, part))
    rng = random.Random(1)
    for i in range(count):
        x, y, w, h = rng.uniform(.3, .7), rng.uniform(.3, .7), rng.uniform(.2, .5), rng.uniform(.2, .5)
        pixels = np.full((120, 160, 3), 90, np.uint8)
        pixels[int((y - h / 2) * 120):int((y + h / 2) * 120), int((x - w / 2) * 160):int((x + w / 2) * 160)] = 220
        Image.fromarray(pixels).save(os.path.join(folder, "images", f"{i}.png"))
        with open(os.path.join(folder, "labels", f"{i}.txt"), "w", encoding="utf-8") as out:
            out.write(f"{i % 2} {x} {y} {w} {h}\n")


class Network(unittest.TestCase):
    def test_overlap(self):
        a = torch.tensor([0., 0, 10, 10])
        for b, iou, giou in (([0., 0, 10, 10], 1, 1), ([0., 0, 10, 5], .5, .5), ([20., 0, 30, 10], 0, -1 / 3)):
            self.assertAlmostEqual(float(nets.overlap(a, torch.tensor(b))), iou, 4)
            self.assertAlmostEqual(float(nets.overlap(a, torch.tensor(b), True)), giou, 4)

    def test_file_holds_what_was_learned(self):
        """Folded, written and read back it sees the same; classes keep their names."""
        torch.manual_seed(4)
        net = nets.Net(2)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-.2, .2)
                module.running_var.uniform_(.5, 2)
        for head in net.heads:  # the exporter keeps equal weights once: no two of a learned net are
            torch.nn.init.uniform_(head.edges.bias)
            torch.nn.init.uniform_(head.classes.bias)
        planes = torch.rand(1, 3, nets.SIDE, nets.SIDE)
        with torch.no_grad():
            before = net.eval()(planes)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.onnx")
            model_file.save(net, path, NAMES, {})
            back, names = model_file.load(path)
            with open(path, "r+b") as file:
                file.truncate(5000)
            with self.assertRaises(ValueError):
                model_file.load(path)
        with torch.no_grad():
            after = back(planes)
        self.assertEqual(tuple(names), NAMES)
        for a, b in zip(before, after):
            self.assertLess(float((a - b).abs().max()), .05)

    def test_cells_learn_the_plate_they_are_in(self):
        middle = nets.centres()
        truth = torch.tensor([[[32., 32, 128, 96], [160., 160, 300, 300]]])
        boxes = torch.cat([middle - 40, middle + 40], 1)[None]
        owner, weight = nets.assign(boxes, torch.full((1, len(middle), 2), .1), truth,
                                    torch.tensor([[0, 1]]), torch.tensor([[True, True]]), middle)
        self.assertGreater(int((weight > 0).sum()), 4)
        for i in (weight[0] > 0).nonzero()[:, 0]:
            box = truth[0, owner[0, i]]
            self.assertTrue(bool((middle[i] > box[:2]).all() and (middle[i] < box[2:]).all()))
        none = nets.assign(boxes, torch.full((1, len(middle), 2), .1), truth, torch.tensor([[0, 1]]),
                           torch.tensor([[False, False]]), middle)
        self.assertEqual(float(none[1].sum()), 0)


class Drawing(unittest.TestCase):
    def test_same_seed_same_picture_with_boxes_in_it(self):
        labels = set()
        for seed in range(12):
            image, boxes = draw.draw(seed)
            again, same = draw.draw(seed)
            self.assertEqual((image.tobytes(), boxes), (again.tobytes(), same), seed)
            for label, (x0, y0, x1, y1) in boxes:
                self.assertTrue(0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height, seed)
                labels.add(label)
        self.assertEqual(labels, {0, 1})


class Learning(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        self.folder = tempfile.TemporaryDirectory(prefix="detector-test-")
        self.addCleanup(self.folder.cleanup)
        self.root = os.path.join(self.folder.name, "set")
        rectangles(self.root, 6)
        self.pairs = labelled.folder(self.root)

    def test_boxes_follow_the_picture(self):
        """However it is turned, cut and scaled: inside of a box it is bright, outside dark."""
        for seed in range(30):
            frame, rows = labelled.varied(self.pairs[seed % 6], random.Random(seed))
            pixels = np.asarray(frame.convert("L"))
            for _, x0, y0, x1, y1 in rows:
                self.assertGreater(pixels[int(y0) + 5:int(y1) - 4, int(x0) + 5:int(x1) - 4].min(), 180, seed)
                mask = np.ones_like(pixels, bool)
                mask[max(0, int(y0) - 4):int(y1) + 5, max(0, int(x0) - 4):int(x1) + 5] = False
                self.assertFalse((pixels[mask] > 180).any(), seed)

    def test_goes_on_from_its_checkpoint(self):
        kept = os.path.join(self.folder.name, "kept.pt")
        _, steps = learn.learn(learn.fresh(2, 1), [(self.pairs, 1)], 2, 1, checkpoint=kept)
        self.assertEqual(steps, 2)
        before = torch.load(kept)["average"]
        again, steps = learn.learn(learn.fresh(2, 9), [(self.pairs, 1)], 2, 1, checkpoint=kept)
        self.assertEqual(steps, 2)
        for key, value in again.state_dict().items():
            self.assertTrue(torch.equal(value, before[key]), key)

    def test_refuses_labels_that_are_none(self):
        with open(self.pairs[0][1], "w", encoding="utf-8") as out:
            out.write("0 .5 .5 .2\n")
        with self.assertRaisesRegex(ValueError, "0.txt:1"):
            labelled.load(self.pairs[0])
        with self.assertRaises(ValueError):
            labelled.folder(self.folder.name)

    def test_score_counts(self):
        rows = np.array([[0, 10, 10, 50, 50], [1, 100, 100, 200, 200]], np.float32)
        right, wrong = torch.tensor([10., 10, 50, 50]), torch.tensor([200., 200, 300, 300])
        self.assertEqual(score.match([(0, .9, right), (1, .9, wrong), (1, .1, wrong)], rows),
                         {0: [1, 1, 1, 1.0], 1: [0, 1, 1, 0.0]})
        self.assertEqual(score.match([(0, .9, right), (0, .8, right)], rows[:1]), {0: [1, 2, 1, 1.0]})


if __name__ == "__main__":
    unittest.main()
