#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>

#include "Internal.h"

namespace {

using torch::autograd::variable_list;

variable_list collect(const ct_tensor *tensors, size_t count) {
  variable_list list;
  list.reserve(count);
  for (size_t i = 0; i < count; i++) {
    list.push_back(tensors == nullptr ? at::Tensor() : shim::borrow(tensors[i]));
  }
  return list;
}

/// Has libtorch end the pass with a callback's failure.
void pass_on(ct_error error) {
  if (error == nullptr) return;
  const std::string message(error->message);
  const ct_code code = error->code;
  ct_error_free(error);
  TORCH_CHECK_WITH(OutOfMemoryError, code != CT_OUT_OF_MEMORY, message);
  TORCH_CHECK(false, message);
}

/// A node of the graph whose backward pass is the caller's.
struct CallerNode : torch::autograd::Node {
  CallerNode(torch::autograd::edge_list edges, void *context, ct_backward_function backward,
             void (*release)(void *))
      : Node(std::move(edges)), context(context), backward(backward), release(release) {}
  ~CallerNode() override { release_variables(); }

  variable_list apply(variable_list &&gradients) override {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "gradients through ", name(), " cannot be differentiated again");
    TORCH_CHECK(context != nullptr, "the backward pass was already run; keep the graph to run it twice");
    std::vector<ct_tensor> given;
    given.reserve(gradients.size());
    for (auto &gradient : gradients) {
      given.push_back(gradient.defined() ? shim::own(std::move(gradient)) : nullptr);
    }
    std::vector<ct_tensor> made(num_outputs(), nullptr);
    const ct_error error = backward(context, given.data(), given.size(), made.data(), made.size());
    variable_list results;
    results.reserve(made.size());
    for (auto *tensor : made) {
      results.push_back(shim::borrow(tensor));
      ct_tensor_free(tensor);
    }
    pass_on(error);
    return results;
  }

  void release_variables() override {
    if (context != nullptr) release(context);
    context = nullptr;
  }

  std::string name() const override { return "CallerNode"; }

  void *context;
  ct_backward_function backward;
  void (*release)(void *);
};

/// Who is told of gradients. A pass that has failed on one of libtorch's threads may still be at work on another.
struct Listener {
  std::mutex lock;
  ct_gradient_function arrived;  // null once nobody listens any more
  void *context;
};

struct LeafHook : torch::autograd::PostAccumulateGradHook {
  LeafHook(std::shared_ptr<Listener> listener, size_t leaf) : listener(std::move(listener)), leaf(leaf) {}

  void operator()(const at::Tensor &) override {
    // Of its own, as this hook may be taken away meanwhile.
    const auto kept = listener;
    const std::lock_guard<std::mutex> guard(kept->lock);
    if (kept->arrived != nullptr) pass_on(kept->arrived(kept->context, leaf));
  }

  std::shared_ptr<Listener> listener;
  size_t leaf;
};

/// Hooks at leaves, for as long as it is there.
class LeafHooks {
 public:
  LeafHooks(variable_list leaves, void *context, ct_gradient_function arrived)
      : leaves(std::move(leaves)), listener(std::make_shared<Listener>()) {
    listener->arrived = arrived;
    listener->context = context;
    for (size_t i = 0; i < this->leaves.size(); i++) {
      torch::autograd::impl::set_post_acc_grad_hooks(this->leaves[i], std::make_unique<LeafHook>(listener, i));
    }
  }

  ~LeafHooks() {
    {
      const std::lock_guard<std::mutex> guard(listener->lock);
      listener->arrived = nullptr;
    }
    for (const auto &leaf : leaves) torch::autograd::impl::set_post_acc_grad_hooks(leaf, nullptr);
  }

  LeafHooks(const LeafHooks &) = delete;
  LeafHooks &operator=(const LeafHooks &) = delete;

 private:
  variable_list leaves;
  std::shared_ptr<Listener> listener;
};

}  // namespace

namespace {

/// Graph nodes are counted by c10::intrusive_ptr in newer libtorch, by std::shared_ptr in older.
template <typename Node, typename... Arguments>
auto make_node(Arguments &&...arguments) {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Node>) {
    return c10::make_intrusive<Node>(std::forward<Arguments>(arguments)...);
  } else {
    return std::make_shared<Node>(std::forward<Arguments>(arguments)...);
  }
}

}  // namespace

extern "C" bool ct_set_grad_enabled(bool enabled) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(enabled);
  return before;
}

extern "C" bool ct_grad_enabled(void) { return c10::GradMode::is_enabled(); }

extern "C" bool ct_requires_grad(ct_tensor tensor) { return tensor->value.requires_grad(); }

extern "C" ct_error ct_set_requires_grad(ct_tensor tensor, bool requires_grad) {
  return shim::guarded([&] { tensor->value.set_requires_grad(requires_grad); });
}

extern "C" ct_error ct_gradient(ct_tensor tensor, ct_tensor *result) {
  return shim::guarded([&] {
    const auto &gradient = tensor->value.grad();
    *result = gradient.defined() ? shim::own(gradient) : nullptr;
  });
}

extern "C" ct_error ct_set_gradient(ct_tensor tensor, ct_tensor gradient) {
  return shim::guarded([&] { tensor->value.mutable_grad() = shim::borrow(gradient); });
}

extern "C" ct_error ct_backward(ct_tensor root, ct_tensor seed, bool retain_graph) {
  return shim::guarded([&] {
    torch::autograd::backward({root->value}, {shim::borrow(seed)}, retain_graph);
  });
}

extern "C" ct_error ct_backward_telling(ct_tensor root, const ct_tensor *leaves, size_t leaf_count, void *context,
                                        ct_gradient_function arrived) {
  return shim::guarded([&] {
    const LeafHooks hooks(collect(leaves, leaf_count), context, arrived);
    torch::autograd::backward({root->value});
  });
}

extern "C" ct_error ct_grad(const ct_tensor *outputs, const ct_tensor *seeds, size_t output_count,
                            const ct_tensor *inputs, size_t input_count, bool retain_graph,
                            bool create_graph, ct_tensor *results) {
  return shim::guarded([&] {
    const auto gradients = torch::autograd::grad(
        collect(outputs, output_count), collect(inputs, input_count), collect(seeds, output_count),
        retain_graph, create_graph, /*allow_unused=*/true);
    for (size_t i = 0; i < input_count; i++) {
      results[i] = gradients[i].defined() ? shim::own(gradients[i]) : nullptr;
    }
  });
}

extern "C" ct_error ct_attach_backward(const ct_tensor *inputs, size_t input_count,
                                       const ct_tensor *outputs, size_t output_count, void *context,
                                       ct_backward_function backward, void (*release)(void *)) {
  bool taken = false;
  const ct_error error = shim::guarded([&] {
    auto edges = torch::autograd::collect_next_edges(collect(inputs, input_count));
    const auto node = make_node<CallerNode>(std::move(edges), context, backward, release);
    taken = true;
    for (size_t i = 0; i < output_count; i++) {
      torch::autograd::set_history(outputs[i]->value, node);
    }
  });
  if (!taken) release(context);
  return error;
}
