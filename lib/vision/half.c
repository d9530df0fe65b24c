#include "vision/half.h"

#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Half: 1 sign, 5 exponent (bias 15), 10 fraction. Float: 1, 8 (bias 127), 23.
float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0x1f) // infinity and not-a-number
        return float_of(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { // zero and subnormals: fraction x 2^-24
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t half_from_float(float value) {
    uint32_t bits = bits_of(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return sign | 0x7e00; // not a number
    if (bits >= 0x477ff000)
        return sign | 0x7c00; // 65520 and more round to infinity
    if (bits < 0x38800000) {
        // Below the smallest normal half: adding 0.5 leaves the fraction, rounded, in the low bits.
        uint32_t shifted = bits_of(float_of(bits) + 0.5f);
        return sign | (uint16_t)(shifted - 0x3f000000);
    }
    bits += 0xc8000fff + (bits >> 13 & 1); // rebias by -112 and round to even
    return sign | (uint16_t)(bits >> 13);
}

void half_to_floats(float *out, const uint16_t *in, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = half_to_float(in[i]);
}

void half_from_floats(uint16_t *out, const float *in, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = half_from_float(in[i]);
}
