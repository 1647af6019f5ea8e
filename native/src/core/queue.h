// A device does things in order: one executor thread runs what the host enqueues, so that a training step never blocks
// the event loop and the host runs ahead of the kernels.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace secateur {

class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;
  virtual const char* name() const = 0;
  // Whether it runs although something before it failed, and nobody has heard of that yet.
  virtual bool always() const { return false; }
};

class Queue {
 public:
  Queue();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Takes its turn after everything enqueued before. With SECATEUR_SYNC=1 it runs at once, on the caller's thread.
  void push(std::unique_ptr<Task> task);
  // Waits until the queue is empty, then throws the first error since the last wait, naming the op.
  void wait();
  // Waits until the queue is empty; what comes from now on, to any queue, runs at once. When a process ends, libraries
  // are taken down while a thread would still use them.
  void finish();
  // The process ends: finishes what is running, and drops the rest with the memory that it holds.
  void stop();
  // Like wait, but an error stays for whoever can report it.
  void drain();
  std::uint64_t enqueued() const { return tail_.load(std::memory_order_relaxed); }
  std::uint64_t completed() const { return head_.load(std::memory_order_acquire); }
  // How often `wait` has told of an error: what was queued before may have been passed over.
  std::uint64_t failures() const { return failures_; }
  bool synchronous() const { return synchronous_; }

 private:
  void work();
  void execute(Task& task);

  static constexpr std::uint64_t capacity = 1024;
  std::vector<std::unique_ptr<Task>> ring_;
  std::atomic<std::uint64_t> tail_{0};
  std::atomic<std::uint64_t> head_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable idle_;
  std::exception_ptr error_;
  std::uint64_t failures_ = 0;
  bool synchronous_;
  std::thread thread_;
};

}  // namespace secateur
