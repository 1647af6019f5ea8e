// Who runs when. A warp whose lanes are at different places runs the group that is furthest behind, most of the time;
// now and then another one, so that nothing relies on the order.
#include "machine.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace gpusim {

namespace {

// Instructions a warp may run before the next one gets its turn: a block that spins lets others go on.
constexpr int turn = 512;
// Blocks on the device at the same time.
constexpr std::size_t resident = 24;

std::uint64_t special(const std::string& name, const Block& b, int thread) {
  const Launch& launch = *b.launch;
  const auto& n = launch.threads;
  const auto t = static_cast<std::uint32_t>(thread);
  const std::uint32_t tid[3] = {t % n[0], t / n[0] % n[1], t / n[0] / n[1]};
  const int axis = name.size() > 2 && name[name.size() - 2] == '.' ? name.back() - 'x' : 0;
  const auto starts = [&](const char* word) { return name.rfind(word, 0) == 0; };
  if (starts("%tid.")) return tid[axis];
  if (starts("%ntid.")) return n[axis];
  if (starts("%ctaid.")) return b.at[axis];
  if (starts("%nctaid.")) return launch.grid[axis];
  if (name == "%laneid") return t % lanes;
  if (name == "%warpid") return t / lanes;
  if (name == "%nwarpid") return (n[0] * n[1] * n[2] + lanes - 1) / lanes;
  if (name == "%lanemask_lt") return (1u << t % lanes) - 1;
  if (name == "%lanemask_le") return (2u << t % lanes) - 1;
  if (name == "%lanemask_eq") return 1u << t % lanes;
  if (name == "%lanemask_gt") return ~((2u << t % lanes) - 1);
  if (name == "%lanemask_ge") return ~((1u << t % lanes) - 1);
  if (name == "%smid") return b.number % 4;
  if (name == "%nsmid") return 4;
  if (name == "%clock" || name == "%clock64" || name == "%globaltimer") return launch.time;
  if (name == "%total_smem_size" || name == "%dynamic_smem_size") return launch.sharedBytes;
  throw Fault(illegalInstruction, "the special register " + name + " is not simulated");
}

std::unique_ptr<Block> makeBlock(Launch& launch, std::uint32_t number) {
  auto b = std::make_unique<Block>();
  b->launch = &launch;
  b->number = number;
  b->at[0] = number % launch.grid[0];
  b->at[1] = number / launch.grid[0] % launch.grid[1];
  b->at[2] = number / launch.grid[0] / launch.grid[1];
  const std::uint64_t shared = launch.kernel->sharedBytes + launch.sharedBytes;
  b->shared.resize(shared);
  b->initialised.assign(shared, 0);
  b->shadow.resize((shared + 3) / 4);
  const int threads = static_cast<int>(launch.threads[0] * launch.threads[1] * launch.threads[2]);
  b->warps.resize(static_cast<std::size_t>((threads + lanes - 1) / lanes));
  for (std::size_t i = 0; i < b->warps.size(); i++) {
    Warp& w = b->warps[i];
    w.block = b.get();
    w.index = static_cast<int>(i);
    const int here = std::min(lanes, threads - w.index * lanes);
    w.present = here == lanes ? allLanes : (1u << here) - 1;
    w.running = w.present;
    w.rows = std::make_unique<Lanes[]>(static_cast<std::size_t>(launch.kernel->rows));
    for (const auto& [row, value] : launch.kernel->constants) std::fill_n(w.rows[row], lanes, value);
    for (const auto& [row, name] : launch.kernel->specials) {
      for (int l = 0; l < here; l++) w.rows[row][l] = special(name, *b, w.thread(l));
    }
  }
  return b;
}

// Lanes to run next, all at the same place; 0 when all that are left wait.
std::uint32_t choose(Warp& w, std::mt19937_64& random) {
  const std::uint32_t ready = w.running & ~w.waiting;
  if (ready == 0 || w.converged) return ready;
  std::uint32_t least = ~0u;
  std::uint32_t other = ~0u;
  for (int l = 0; l < lanes; l++) {
    if ((ready >> l & 1) == 0) continue;
    if (w.pcs[l] < least) {
      other = least;
      least = w.pcs[l];
    } else if (w.pcs[l] > least) {
      other = w.pcs[l];
    }
  }
  const std::uint32_t pc = other != ~0u && random() % 8 == 0 ? other : least;
  std::uint32_t mask = 0;
  for (int l = 0; l < lanes; l++) {
    if ((ready >> l & 1) != 0 && w.pcs[l] == pc) mask |= 1u << l;
  }
  w.pc = pc;
  return mask;
}

// Whether the running lanes are at one place again.
void join(Warp& w) {
  if (w.converged || w.running == 0 || w.waiting != 0) return;
  const std::uint32_t pc = w.pcs[__builtin_ctz(w.running)];
  for (int l = 0; l < lanes; l++) {
    if ((w.running >> l & 1) != 0 && w.pcs[l] != pc) return;
  }
  w.converged = true;
  w.pc = pc;
}

void step(Warp& w, std::uint32_t mask) {
  Launch& launch = *w.block->launch;
  const Instruction& i = launch.kernel->code[w.pc];
  launch.counters.instructions[static_cast<int>(i.kind)]++;
  launch.time++;
  std::uint32_t active = mask;
  if (i.guard != noRow) {
    const std::uint64_t* p = w.rows[i.guard];
    std::uint32_t on = 0;
    for (int l = 0; l < lanes; l++) on |= static_cast<std::uint32_t>((p[l] & 1) != 0 ? 1u << l : 0u);
    active &= i.guardNot ? ~on : on;
  }
  if (w.converged) {
    w.pc++;
    // The handler of a branch, exit or wait looks at `pcs`; they are set when the lanes part.
    if (i.kind == Class::control || i.kind == Class::warp || i.kind == Class::tensor) std::fill_n(w.pcs, lanes, w.pc);
    if (active != 0) i.run(w, i, active);
  } else {
    eachLane(mask, [&](int l) { w.pcs[l] = w.pc + 1; });
    if (active != 0) i.run(w, i, active);
    join(w);
  }
}

// Runs a warp for a turn; gives whether it did anything.
bool run(Warp& w) {
  Launch& launch = *w.block->launch;
  const std::size_t size = launch.kernel->code.size();
  for (int n = 0; n < turn; n++) {
    const std::uint32_t mask = choose(w, launch.random);
    if (mask == 0) return n > 0;
    if (w.pc >= size) throw Fault(launchFailed, "a thread runs past the end of " + launch.kernel->name);
    step(w, mask);
  }
  return true;
}

// Lets a block go on past its barrier when every thread that still runs has come.
bool passBarrier(Block& b) {
  for (const Warp& w : b.warps) {
    if ((w.running & ~w.atBarrier) != 0) return false;
  }
  bool any = false;
  for (Warp& w : b.warps) {
    if (w.atBarrier == 0) continue;
    any = true;
    w.atBarrier = 0;
    w.waiting = 0;
    join(w);
    w.epoch++;
  }
  if (any) {
    b.epoch++;
    shareInBlock(b);
  }
  return any;
}

}  // namespace

bool Block::done() const {
  return std::all_of(warps.begin(), warps.end(), [](const Warp& w) { return w.running == 0; });
}

void Launch::run() {
  const std::uint64_t count = std::uint64_t{grid[0]} * grid[1] * grid[2];
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<std::unique_ptr<Block>> live;
  std::size_t started = 0;
  while (started < count || !live.empty()) {
    while (live.size() < resident && started < count) live.push_back(makeBlock(*this, order[started++]));
    // One block at a time as long as it gets on; the others when it waits for them.
    bool progress = false;
    for (std::size_t n = 0; n < live.size(); n++) {
      Block& b = *live[n];
      bool again = true;
      for (int rounds = 0; again && rounds < 64; rounds++) {
        again = false;
        std::vector<std::size_t> warps(b.warps.size());
        std::iota(warps.begin(), warps.end(), std::size_t{0});
        std::shuffle(warps.begin(), warps.end(), random);
        for (const std::size_t w : warps) again = gpusim::run(b.warps[w]) || again;
        again = passBarrier(b) || again;
        progress = progress || again;
      }
      if (b.done()) {
        live[n] = std::move(live.back());
        live.pop_back();
        n--;
        progress = true;
      }
    }
    if (!progress) {
      for (const auto& b : live) {
        for (Warp& w : b->warps) {
          if (w.running == 0) continue;
          const int lane = __builtin_ctz(w.running);
          const std::uint32_t pc = w.converged ? w.pc : w.pcs[lane];
          const Instruction& i = kernel->code[pc > 0 ? pc - 1 : 0];
          fault(w, i, lane, launchFailed,
                "nothing can go on: threads wait for others that never come (a divergent barrier, or a _sync mask that "
                "names lanes elsewhere)");
        }
      }
    }
  }
}

void fault(const Warp& w, const Instruction& i, int lane, int code, const std::string& what) {
  const Block& b = *w.block;
  const Launch& launch = *b.launch;
  const int t = w.thread(lane);
  std::ostringstream out;
  out << launch.kernel->name << ": " << what << "\n  at "
      << (i.file < launch.module->files.size() ? launch.module->files[i.file] : "?") << ":" << i.line << " (PTX line "
      << i.ptxLine << ": " << *i.text << ")\n  block (" << b.at[0] << ", " << b.at[1] << ", " << b.at[2] << "), thread "
      << t << " (warp " << w.index << ", lane " << lane << ")";
  throw Fault(code, out.str());
}

}  // namespace gpusim
