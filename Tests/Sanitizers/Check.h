// What the drivers share: numbers that are the same every time, arrays of exact size, and a way to end.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

namespace check {

/// Ends the process with what is wrong.
[[noreturn]] inline void fail(const std::string &what) {
  std::fprintf(stderr, "wrong: %s\n", what.c_str());
  std::exit(1);
}

inline void require(bool holds, const std::string &what) {
  if (!holds) fail(what);
}

/// Elements on the heap, just as many as asked for, so that the address sanitizer sees the first one beyond.
template <typename T>
struct Exact {
  size_t count;
  std::unique_ptr<T[]> elements;

  explicit Exact(size_t count, T value = T{}) : count(count), elements(new T[count]) {
    for (size_t i = 0; i < count; i++) elements[i] = value;
  }
  T *data() { return elements.get(); }
  const T *data() const { return elements.get(); }
  T &operator[](size_t i) { return elements[i]; }
  const T &operator[](size_t i) const { return elements[i]; }
};

inline std::mt19937 &generator() {
  static std::mt19937 numbers(20240229);
  return numbers;
}

inline float number() { return std::uniform_real_distribution<float>(-1, 1)(generator()); }

inline Exact<float> numbers(size_t count) {
  Exact<float> values(count);
  for (size_t i = 0; i < count; i++) values[i] = number();
  return values;
}

/// Requires two numbers to differ by no more than a share of a size.
inline void near(double found, double expected, double tolerance, const std::string &what, size_t place) {
  const double most = tolerance * std::fmax(1, std::fabs(expected));
  if (std::fabs(found - expected) <= most || (std::isnan(found) && std::isnan(expected))) return;
  fail(what + " [" + std::to_string(place) + "]: " + std::to_string(found) + ", expected " + std::to_string(expected));
}

}  // namespace check
