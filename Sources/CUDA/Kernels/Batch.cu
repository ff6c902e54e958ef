// A batch in one pass: chosen, cropped, flipped, normalised and mixed. The bits are those of libtorch's
// operators: products and sums are rounded apart in the normalisation, but together in lerp.

__device__ __forceinline__ float normalized(unsigned char byte, float scale, float shift) {
  return __fadd_rn(__fmul_rn(float(byte), scale), shift);
}

/// partner.lerp(own, weight).
__device__ __forceinline__ float blended(float own, float partner, float weight) {
  const float difference = __fsub_rn(own, partner);
  return fabsf(weight) < 0.5F ? fmaf(weight, difference, partner)
                              : fmaf(__fsub_rn(weight, 1), difference, own);
}

/// What the images of a batch are made of: `count` images of a set, of which the first `rows` become the batch's.
struct BatchSource {
  const unsigned char *images;
  const long long *places, *crops;
  int padding, count, rows, height, width, channels;

  /// The bytes that become a pixel of the batch's image; null where it is of the padding.
  __device__ __forceinline__ const unsigned char *pixel(long long image, int row, int column) const {
    long long top = row, left = column;
    if (crops) {
      top += crops[image] - padding;
      left = crops[count + image] + crops[2LL * count + image] * column - padding;
      if (top < 0 || top >= height || left < 0 || left >= width) return nullptr;
    }
    return images + ((places[image] * height + top) * width + left) * channels;
  }
};

/// Channels that a thread has under way at once.
constexpr int batch_channels = 4;

template <typename T>
__device__ __forceinline__ void assemble(const BatchSource &source, const float *lambdas,
                                         const long long *partners, const long long *boxes,
                                         const float *scale, const float *shift, T *y) {
  const int count = source.count, channels = source.channels;
  const unsigned width = unsigned(source.width), area = unsigned(source.height) * width;
  const unsigned long long pixels = (unsigned long long)(source.rows)*area;
  const unsigned long long step = (unsigned long long)(gridDim.x) * blockDim.x;
  for (unsigned long long index = (unsigned long long)(blockIdx.x) * blockDim.x + threadIdx.x; index < pixels;
       index += step) {
    const long long image = (long long)(index / area);
    const unsigned pixel = unsigned(index - (unsigned long long)(image)*area);
    const int row = int(pixel / width), column = int(pixel - unsigned(row) * width);
    const unsigned char *own = source.pixel(image, row, column), *partner = nullptr;
    bool is_mixed = lambdas != nullptr;
    float weight = 0;
    if (boxes) {
      is_mixed = false;
      if (row >= boxes[image] && row < boxes[count + image] && column >= boxes[2LL * count + image] &&
          column < boxes[3LL * count + image])
        own = source.pixel(partners[image], row, column);
    } else if (is_mixed) {
      weight = lambdas[image];
      partner = source.pixel(partners[image], row, column);
    }
    T *to = y + (long long)(index)*channels;
    for (int first = 0; first < channels; first += batch_channels) {
      unsigned char owns[batch_channels] = {}, others[batch_channels] = {};
      float scales[batch_channels] = {}, shifts[batch_channels] = {};
#pragma unroll
      for (int k = 0; k < batch_channels; k++) {
        if (first + k >= channels) continue;
        if (own) owns[k] = own[first + k];
        if (partner) others[k] = partner[first + k];
        scales[k] = scale[first + k];
        shifts[k] = shift[first + k];
      }
#pragma unroll
      for (int k = 0; k < batch_channels; k++) {
        if (first + k >= channels) continue;
        float value = normalized(owns[k], scales[k], shifts[k]);
        if (is_mixed) value = blended(value, normalized(others[k], scales[k], shifts[k]), weight);
        narrow(value, to[first + k]);
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(256)
    assemble_f32(const unsigned char *images, const long long *places, const long long *crops, int padding,
                 const float *lambdas, const long long *partners, const long long *boxes, const float *scale,
                 const float *shift, int count, int rows, int height, int width, int channels, float *y) {
  assemble<float>({images, places, crops, padding, count, rows, height, width, channels}, lambdas, partners, boxes,
                  scale, shift, y);
}

extern "C" __global__ void __launch_bounds__(256)
    assemble_bf16(const unsigned char *images, const long long *places, const long long *crops, int padding,
                  const float *lambdas, const long long *partners, const long long *boxes, const float *scale,
                  const float *shift, int count, int rows, int height, int width, int channels, bf16 *y) {
  assemble<bf16>({images, places, crops, padding, count, rows, height, width, channels}, lambdas, partners, boxes,
                 scale, shift, y);
}

extern "C" __global__ void __launch_bounds__(256)
    assemble_targets(const float *targets, const long long *places, const float *lambdas,
                     const long long *partners, int count, int classes, float *y) {
  const unsigned long long total = (unsigned long long)(count)*unsigned(classes);
  const unsigned long long step = (unsigned long long)(gridDim.x) * blockDim.x;
  for (unsigned long long index = (unsigned long long)(blockIdx.x) * blockDim.x + threadIdx.x; index < total;
       index += step) {
    const long long sample = (long long)(index / unsigned(classes));
    const long long c = (long long)(index) - sample * classes;
    float value = targets[places[sample] * classes + c];
    if (lambdas)
      value = blended(value, targets[places[partners[sample]] * classes + c], lambdas[sample]);
    y[index] = value;
  }
}
