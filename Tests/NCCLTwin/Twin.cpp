#include "NCCLTwin.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "../../Sources/CCUDA/include/CCUDACollectives.h"
#include "Streams.h"

namespace {

enum Status { success = 0, remote_error = 6, invalid_argument = 4, invalid_usage = 5, in_progress = 7 };

/// What goes to one rank and comes from it. What goes is copied in the call: a device gives memory to nobody else
/// before its stream is done with it, but the host does.
struct Transfer {
  std::string sent;
  char *target = nullptr;
  size_t received = 0;
  int sent_type = 0, received_type = 0;
};

/// One operation of all ranks.
struct Step {
  std::vector<std::vector<Transfer>> parts;
  int arrived = 0, left = 0;
  bool is_broken = false;
};

/// All ranks of a communicator.
struct World {
  std::mutex lock;
  std::condition_variable changed;
  int size = 0, joined = 0, finalized = 0;
  std::map<long, Step> steps;
};

std::atomic<int> living_communicators{0}, living_events{0}, living_streams{0},
    next_id{1};

struct Communicator {
  std::shared_ptr<World> world;
  int rank = 0;
  long steps = 0;
  std::atomic<int> state{in_progress};
  std::atomic<bool> is_aborted{false}, is_blocked{false};
  std::thread background;

  Communicator() { ++living_communicators; }
  ~Communicator() { --living_communicators; }

  void become(int next) {
    int expected = in_progress;
    state.compare_exchange_strong(expected, next);
  }

  template <typename Condition>
  void wait(std::unique_lock<std::mutex> &guard, Condition condition) {
    world->changed.wait(guard, [&] { return is_aborted || condition(); });
  }

  void run(std::function<void()> task) {
    if (background.joinable()) background.join();
    background = std::thread(std::move(task));
  }
};

using Handle = std::shared_ptr<Communicator>;

Handle &of(void *communicator) { return *static_cast<Handle *>(communicator); }

/// Copies what all ranks have brought, when all have.
void execute(const Handle &self, long number, const std::vector<Transfer> &transfers) {
  auto &world = *self->world;
  std::unique_lock<std::mutex> guard(world.lock);
  auto &step = world.steps[number];
  step.parts.resize(world.size);
  step.parts[self->rank] = transfers;
  ++step.arrived;
  world.changed.notify_all();
  self->wait(guard, [&] { return step.arrived == world.size && !step.is_broken; });
  if (!self->is_aborted) {
    for (int other = 0; other < world.size; ++other) {
      const auto &mine = transfers[other], &its = step.parts[other][self->rank];
      if (mine.received != its.sent.size() || mine.received_type != its.sent_type) {
        self->state = invalid_usage;
        break;
      }
      std::memcpy(mine.target, its.sent.data(), its.sent.size());
    }
    ++step.left;
    world.changed.notify_all();
    // What has failed never ends by itself.
    self->wait(guard, [&] { return step.left == world.size && self->state != invalid_usage; });
  }
  // Nobody may read what this rank has brought any more.
  if (self->is_aborted) step.is_broken = true;
}

int launch(const Handle &self, std::vector<Transfer> transfers, void *stream) {
  if (self->state == in_progress) return invalid_argument;
  if (self->state != success) return self->state;
  self->state = in_progress;
  self->run([self, transfers = std::move(transfers), stream, number = self->steps++] {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (self->is_blocked) {
      std::unique_lock<std::mutex> guard(self->world->lock);
      return self->wait(guard, [] { return false; });
    }
    static_cast<twin::Stream *>(stream)->push([=] { execute(self, number, transfers); });
    self->become(success);
  });
  return in_progress;
}

/// What a thread has begun to group.
thread_local struct {
  int depth = 0;
  std::map<cc_communicator, std::pair<std::vector<Transfer>, void *>> transfers;
} group;

Transfer *transfer(cc_communicator communicator, int rank, void *stream) {
  const int size = of(communicator)->world->size;
  if (group.depth == 0 || rank < 0 || rank >= size) return nullptr;
  auto &[transfers, place] = group.transfers[communicator];
  transfers.resize(size);
  place = stream;
  return &transfers[rank];
}

size_t size_of(int type) { return type == 1 ? 1 : type == 9 ? 2 : type == 7 ? 4 : 8; }

// ---- As NCCL's documentation declares them ------------------------------------------------------

int version(int *result) {
  *result = 22707;
  return success;
}

int make_unique_id(cc_unique_id *result) {
  *result = {};
  const auto text = "twin " + std::to_string(next_id++);
  std::memcpy(result->bytes, text.c_str(), text.size());
  return success;
}

int make(cc_communicator *result, int ranks, cc_unique_id id, int rank, cc_communicator_config *config) {
  static std::mutex lock;
  static std::map<std::string, std::weak_ptr<World>> worlds;
  if (config->size != 48 || config->magic != 0xcafebeef || config->blocking != 0) return invalid_argument;
  if (rank < 0 || rank >= ranks) return invalid_argument;
  auto self = std::make_shared<Communicator>();
  {
    const std::lock_guard<std::mutex> guard(lock);
    auto &known = worlds[std::string(id.bytes, strnlen(id.bytes, sizeof id.bytes))];
    self->world = known.lock();
    if (!self->world) known = self->world = std::make_shared<World>();
  }
  self->rank = rank;
  self->run([self, ranks] {
    std::unique_lock<std::mutex> guard(self->world->lock);
    self->world->size = ranks;
    ++self->world->joined;
    self->world->changed.notify_all();
    self->wait(guard, [&] { return self->world->joined == ranks; });
    self->become(success);
  });
  *result = reinterpret_cast<cc_communicator>(new Handle(self));
  return in_progress;
}

int get_state(cc_communicator communicator, int *result) {
  *result = of(communicator)->state;
  return success;
}

int finalize(cc_communicator communicator) {
  auto self = of(communicator);
  if (self->state != success) return invalid_argument;
  self->state = in_progress;
  self->run([self] {
    auto &world = *self->world;
    std::unique_lock<std::mutex> guard(world.lock);
    ++world.finalized;
    world.changed.notify_all();
    self->wait(guard, [&] { return world.finalized == world.size; });
    self->become(success);
  });
  return in_progress;
}

int destroy(cc_communicator communicator) {
  auto *handle = &of(communicator);
  if ((*handle)->background.joinable()) (*handle)->background.join();
  delete handle;
  return success;
}

int abort_all(cc_communicator communicator) {
  auto self = of(communicator);
  {
    const std::lock_guard<std::mutex> guard(self->world->lock);
    self->is_aborted = true;
  }
  self->world->changed.notify_all();
  return destroy(communicator);
}

int begin_group() {
  ++group.depth;
  return success;
}

int end_group() {
  if (group.depth == 0) return invalid_usage;
  if (--group.depth > 0) return success;
  int status = success;
  for (auto &[communicator, queued] : group.transfers) {
    status = launch(of(communicator), std::move(queued.first), queued.second);
  }
  group.transfers.clear();
  return status;
}

int send(const void *input, size_t count, int type, int rank, cc_communicator communicator, void *stream) {
  auto *part = transfer(communicator, rank, stream);
  if (part == nullptr) return invalid_argument;
  part->sent.assign(static_cast<const char *>(input), count * size_of(type));
  part->sent_type = type;
  return success;
}

int receive(void *output, size_t count, int type, int rank, cc_communicator communicator, void *stream) {
  auto *part = transfer(communicator, rank, stream);
  if (part == nullptr) return invalid_argument;
  part->target = static_cast<char *>(output);
  part->received = count * size_of(type);
  part->received_type = type;
  return success;
}

int gather(const void *input, void *output, size_t count, int type, cc_communicator communicator,
           void *stream) {
  const auto &self = of(communicator);
  const size_t bytes = count * size_of(type);
  std::vector<Transfer> transfers(self->world->size);
  for (size_t rank = 0; rank < transfers.size(); ++rank) {
    auto *target = static_cast<char *>(output) + rank * bytes;
    transfers[rank] = {std::string(static_cast<const char *>(input), bytes), target, bytes, type, type};
  }
  return launch(self, std::move(transfers), stream);
}

const char *describe(int status) {
  return status == remote_error ? "remote process exited or there was a network error"
         : status == success    ? "no error"
                                : "invalid usage";
}

const char *last_error(cc_communicator) { return "the twin says so\nin two lines"; }

}  // namespace

void twin_collectives(void *result) {
  *static_cast<cc_collectives *>(result) = {
      version,   make_unique_id, make,   get_state, finalize, destroy,  abort_all,
      begin_group, end_group,    gather, send,      receive,  describe, last_error,
  };
}

void *twin_stream_make(void) {
  ++living_streams;
  return new twin::Stream;
}
bool twin_stream_wait(void *stream, double seconds) {
  return static_cast<twin::Stream *>(stream)->wait(seconds);
}
void twin_stream_hold(void *stream, bool held) { static_cast<twin::Stream *>(stream)->hold(held); }
void twin_stream_free(void *stream) {
  delete static_cast<twin::Stream *>(stream);
  --living_streams;
}

void *twin_event_make(void) {
  ++living_events;
  return new twin::Event;
}
void twin_event_record(void *event, void *stream) {
  static_cast<twin::Event *>(event)->record(*static_cast<twin::Stream *>(stream));
}
void twin_event_wait(void *event, void *stream) {
  static_cast<twin::Event *>(event)->wait(*static_cast<twin::Stream *>(stream));
}
bool twin_event_passed(void *event) { return *static_cast<twin::Event *>(event)->passed; }
void twin_event_free(void *event) {
  --living_events;
  delete static_cast<twin::Event *>(event);
}

void twin_fail(void *communicator, int status) { of(communicator)->state = status; }
void twin_block(void *communicator) { of(communicator)->is_blocked = true; }

int twin_living_communicators(void) { return living_communicators; }
int twin_living_events(void) { return living_events; }
int twin_living_streams(void) { return living_streams; }
