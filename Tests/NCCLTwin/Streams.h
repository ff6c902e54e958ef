#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace twin {

/// Does what is queued, one after another, on a thread of its own.
class Stream {
 public:
  Stream() : worker([this] { work(); }) {}

  ~Stream() {
    {
      const std::lock_guard<std::mutex> guard(lock);
      is_ending = true;
      is_held = false;
    }
    changed.notify_all();
    worker.join();
  }

  void push(std::function<void()> task) {
    {
      const std::lock_guard<std::mutex> guard(lock);
      tasks.push_back(std::move(task));
    }
    changed.notify_all();
  }

  void hold(bool held) {
    {
      const std::lock_guard<std::mutex> guard(lock);
      is_held = held;
    }
    changed.notify_all();
  }

  bool wait(double seconds) {
    std::unique_lock<std::mutex> guard(lock);
    return changed.wait_for(guard, std::chrono::duration<double>(seconds),
                            [this] { return tasks.empty() && !is_busy; });
  }

 private:
  std::mutex lock;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  bool is_busy = false, is_held = false, is_ending = false;
  // The last, as it uses the others.
  std::thread worker;

  void work() {
    std::unique_lock<std::mutex> guard(lock);
    for (;;) {
      changed.wait(guard, [this] { return !is_held && (is_ending || !tasks.empty()); });
      if (tasks.empty()) return;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      is_busy = true;
      guard.unlock();
      task();
      guard.lock();
      is_busy = false;
      changed.notify_all();
    }
  }
};

/// Whether a stream has come to where it was put last.
struct Event {
  std::shared_ptr<std::atomic<bool>> passed = std::make_shared<std::atomic<bool>>(true);

  void record(Stream &stream) {
    passed = std::make_shared<std::atomic<bool>>(false);
    stream.push([flag = passed] {
      *flag = true;
      flag->notify_all();
    });
  }

  void wait(Stream &stream) {
    stream.push([flag = passed] { flag->wait(false); });
  }
};

}  // namespace twin
