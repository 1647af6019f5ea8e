#include "core/queue.h"

#include <immintrin.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace secateur {

namespace {

// How long a side that finds nothing to do looks again before it sleeps: longer than JavaScript takes between two ops,
// shorter than anybody would miss.
constexpr auto patience = std::chrono::microseconds(60);

// Whether the process ends. On JavaScript's thread.
bool finished = false;

template <class Ready>
bool spin(Ready ready) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    for (int i = 0; i < 64; i++) {
      if (ready()) return true;
      _mm_pause();
    }
    if (std::chrono::steady_clock::now() >= until) return ready();
  }
}

}  // namespace

Queue::Queue() : ring_(capacity) {
  const char* sync = std::getenv("SECATEUR_SYNC");
  synchronous_ = finished || (sync != nullptr && std::strcmp(sync, "1") == 0);
  if (!synchronous_) thread_ = std::thread([this] { work(); });
}

Queue::~Queue() { stop(); }

void Queue::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_.store(true);
    work_.notify_one();
  }
  thread_.join();
  for (std::unique_ptr<Task>& task : ring_) task.reset();
}

void Queue::execute(Task& task) {
  // After an error the rest of the queue is stale: it is passed over until somebody has heard of the error.
  if (error_ == nullptr || task.always()) {
    // The first error is the one to tell of: what fails after it fails because of it.
    const auto keep = [&](const std::string& code, const char* what) {
      if (error_ == nullptr) error_ = std::make_exception_ptr(Error(code, std::string(task.name()) + ": " + what));
    };
    try {
      task.run();
    } catch (const Error& e) {
      keep(e.code(), e.what());
    } catch (const std::exception& e) {
      keep("ERR_KERNEL", e.what());
    } catch (...) {
      keep("ERR_KERNEL", "unknown failure");
    }
  }
}

void Queue::push(std::unique_ptr<Task> task) {
  const std::uint64_t at = tail_.load(std::memory_order_relaxed);
  if (synchronous_) {
    execute(*task);
    tail_.store(at + 1, std::memory_order_relaxed);
    head_.store(at + 1, std::memory_order_release);
    return;
  }
  const auto room = [&] { return at - head_.load(std::memory_order_acquire) < capacity; };
  while (!room()) {
    if (!spin(room)) std::this_thread::yield();
  }
  ring_[at % capacity] = std::move(task);
  tail_.store(at + 1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_.notify_one();
  }
}

void Queue::work() {
  for (;;) {
    const std::uint64_t at = head_.load(std::memory_order_relaxed);
    const auto ready = [&] { return tail_.load(std::memory_order_acquire) != at; };
    if (!spin(ready)) {
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_.store(true, std::memory_order_seq_cst);
      work_.wait(lock, [&] { return ready() || stop_.load(); });
      asleep_.store(false, std::memory_order_relaxed);
    }
    if (stop_.load(std::memory_order_relaxed)) return;  // the process ends: what is still queued nobody will read
    const std::unique_ptr<Task> task = std::move(ring_[at % capacity]);
    execute(*task);
    head_.store(at + 1, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst)) {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_.notify_all();
    }
  }
}

void Queue::drain() {
  const auto done = [&] { return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_relaxed); };
  if (spin(done)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  waiting_.store(true, std::memory_order_seq_cst);
  idle_.wait(lock, done);
  waiting_.store(false, std::memory_order_relaxed);
}

void Queue::finish() {
  drain();
  synchronous_ = finished = true;
}

void Queue::wait() {
  drain();
  if (error_ == nullptr) return;
  failures_++;
  std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace secateur
