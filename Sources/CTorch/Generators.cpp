#include "Internal.h"

extern "C" ct_error ct_generator_make(int64_t device, uint64_t seed, ct_generator *result) {
  return shim::guarded([&] {
    auto generator = at::globalContext().defaultGenerator(shim::decode(device)).clone();
    generator.set_current_seed(seed);
    *result = new ct_generator_s{std::move(generator)};
  });
}

extern "C" void ct_generator_free(ct_generator generator) { delete generator; }

extern "C" ct_error ct_generator_state(ct_generator generator, ct_tensor *result) {
  return shim::guarded([&] { *result = shim::own(generator->value.get_state()); });
}

extern "C" ct_error ct_generator_set_state(ct_generator generator, ct_tensor state) {
  return shim::guarded([&] { generator->value.set_state(state->value); });
}
