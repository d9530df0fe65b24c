// IEEE 754 binary16, as networks exported in half precision take and give it.
#pragma once

#include <stddef.h>
#include <stdint.h>

float half_to_float(uint16_t half);
uint16_t half_from_float(float value); // to the nearest, ties to even; too large gives infinity

void half_to_floats(float *out, const uint16_t *in, size_t count);
void half_from_floats(uint16_t *out, const float *in, size_t count);
