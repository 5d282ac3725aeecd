"""The C functions that a program may need, each written into a file only where it is used. C99, 32-bit floats."""

from __future__ import annotations

from collections.abc import Iterable

FUNCTIONS = {
    "net_relu": """
static inline float net_relu(float v) { return v > 0.0f ? v : 0.0f; }
""",
    "net_leaky_relu": """
static inline float net_leaky_relu(float v, float slope) { return v > 0.0f ? v : slope * v; }
""",
    "net_gelu": """
static inline float net_gelu(float v) { return 0.5f * v * erfcf(v * -0.70710678f); }
""",
    "net_silu": """
static inline float net_silu(float v) { return v / (1.0f + expf(-v)); }
""",
    "net_tanh": """
static inline float net_tanh(float v) { return tanhf(v); }
""",
    "net_elu": """
static inline float net_elu(float v, float alpha) { return v > 0.0f ? v : alpha * expm1f(v); }
""",
    "net_selu": """
static inline float net_selu(float v) { return 1.050701f * (v > 0.0f ? v : 1.6732632f * expm1f(v)); }
""",
    "net_softplus": """
static inline float net_softplus(float v) { return v > 20.0f ? v : log1pf(expf(v)); }
""",
    "net_sigmoid": """
static inline float net_sigmoid(float v) { return 1.0f / (1.0f + expf(-v)); }
""",
    "net_hardtanh": """
static inline float net_hardtanh(float v, float low, float high) { return v < low ? low : v > high ? high : v; }
""",
    "net_mish": """
static inline float net_mish(float v) { return v > 20.0f ? v : v * tanhf(log1pf(expf(v))); }
""",
    "net_layer_norm": """
static void net_layer_norm(float *v, int n, const float *scale, const float *shift, float eps) {
    float mean = 0.0f, square = 0.0f;
    for (int i = 0; i < n; i++) mean += v[i];
    mean /= (float)n;
    for (int i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean);
    const float factor = 1.0f / sqrtf(square / (float)n + eps);
    for (int i = 0; i < n; i++) v[i] = (v[i] - mean) * factor * scale[i] + shift[i];
}
""",
    "net_rms_norm": """
static void net_rms_norm(float *v, int n, const float *scale, const float *shift, float eps) {
    float square = 0.0f;
    for (int i = 0; i < n; i++) square += v[i] * v[i];
    const float factor = 1.0f / sqrtf(square / (float)n + eps);
    for (int i = 0; i < n; i++) v[i] = v[i] * factor * scale[i] + shift[i];
}
""",
    # weights input by input: the inner loop is over neighbours in memory and needs no sum of its own, so compilers
    # vectorise it without -ffast-math; and an input that is 0, as half of them behind a ReLU, costs nothing
    "net_dense": """
static void net_dense(const float *restrict w, const float *restrict bias, const float *restrict x, int inputs,
                      float *restrict y, int outputs, int add) {
    for (int o = 0; o < outputs; o++) y[o] = add ? y[o] + bias[o] : bias[o];
    for (int i = 0; i < inputs; i++, w += outputs) {
        const float v = x[i];
        if (v != 0.0f)
            for (int o = 0; o < outputs; o++) y[o] += w[o] * v;
    }
}
""",
    "net_dot16": """
static int32_t net_dot16(const int8_t *w, const int16_t *x, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += w[i] * x[i];
    return sum;
}
""",
    "net_dot8": """
static int32_t net_dot8(const int8_t *w, const int8_t *x, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += w[i] * x[i];
    return sum;
}
""",
    # half away from zero, within limits
    "net_whole": """
static inline int net_whole(float v, int low, int high) {
    if (v <= (float)low) return low;
    if (v >= (float)high) return high;
    return (int)(v + (v < 0.0f ? -0.5f : 0.5f));
}
""",
    "net_code": """
static int net_code(float v, int absent, int codes) {
    if (v != v) return absent;
    if (v < 0.0f || v > (float)(codes - 1)) return -1;
    return (float)(int)v == v ? (int)v : -1;
}
""",
    "net_log_softmax": """
static void net_log_softmax(float *z, int n) {
    float most = z[0], sum = 0.0f;
    for (int i = 1; i < n; i++) most = z[i] > most ? z[i] : most;
    for (int i = 0; i < n; i++) sum += expf(z[i] - most);
    const float less = most + logf(sum);
    for (int i = 0; i < n; i++) z[i] -= less;
}
""",
    "net_log_add": """
static inline float net_log_add(float a, float b) {
    return a > b ? a + log1pf(expf(b - a)) : b + log1pf(expf(a - b));
}
""",
    "net_softmax": """
static void net_softmax(float *z, int n) {
    float most = z[0], sum = 0.0f;
    for (int i = 1; i < n; i++) most = z[i] > most ? z[i] : most;
    for (int i = 0; i < n; i++) sum += z[i] = expf(z[i] - most);
    for (int i = 0; i < n; i++) z[i] /= sum;
}
""",
}


def used_in(lines: Iterable[str]) -> str:
    """The text of those functions that the lines call."""
    text = "\n".join(lines)
    return "".join(body for name, body in FUNCTIONS.items() if f"{name}(" in text)
