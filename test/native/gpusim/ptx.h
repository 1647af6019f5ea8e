// PTX as this simulator holds it: instructions with their operands resolved to rows of a warp's register file.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpusim {

enum class Type : std::uint8_t {
  none,
  pred,
  u8,
  s8,
  u16,
  s16,
  u32,
  s32,
  u64,
  s64,
  b8,
  b16,
  b32,
  b64,
  b128,
  f16,
  bf16,
  f16x2,
  bf16x2,
  f32,
  f64
};
int bytesOf(Type t);
bool isSigned(Type t);
bool isFloat(Type t);
Type typeOf(const std::string& word);  // Type::none when it names none

enum class Space : std::uint8_t { generic, global, shared, local, param, constant };

// What an access of memory promises to other threads.
enum Order : std::uint8_t { strong = 1, acquires = 2, releases = 4 };

// Classes the counters keep apart.
enum class Class : std::uint8_t { integer, floating, conversion, special, memory, control, warp, tensor, count };

struct Warp;
struct Instruction;
using Handler = void (*)(Warp&, const Instruction&, std::uint32_t lanes);

// A row holds one value of 64 bits a lane: a register, a special register, or a constant of the program.
using Row = std::int32_t;
constexpr Row noRow = -1;

struct Instruction {
  Handler run = nullptr;
  Row guard = noRow;
  bool guardNot = false;
  Type type = Type::none;
  Type from = Type::none;  // second type of conversions and of mma
  Space space = Space::generic;
  std::uint8_t vector = 1;
  Class kind = Class::integer;
  std::uint8_t flags = 0;  // meaning depends on the family
  std::uint8_t order = 0;  // of an access of memory: bits of Order
  std::uint8_t dsts = 0;
  std::uint8_t srcs = 0;
  Row dst[8] = {noRow, noRow, noRow, noRow, noRow, noRow, noRow, noRow};
  Row src[16] = {};
  std::int64_t immediate = 0;  // offset of an address, lookup table, bar's number, ...
  std::uint32_t target = 0;
  std::uint32_t line = 0;  // in the .cu file
  std::uint16_t file = 0;
  std::uint32_t ptxLine = 0;
  const std::string* text = nullptr;
};

struct Variable {
  Space space = Space::global;
  std::uint64_t at = 0;  // address (global, constant), offset (shared, param, local)
  std::uint64_t bytes = 0;
};

struct Kernel {
  std::string name;
  std::vector<Instruction> code;
  Row rows = 0;                            // in all
  std::map<Row, std::uint64_t> constants;  // rows that hold a constant
  std::map<Row, std::string> specials;     // rows that hold a special register
  std::vector<Variable> params;
  std::uint64_t paramBytes = 0;   // in all
  std::uint64_t sharedBytes = 0;  // static
  std::uint64_t localBytes = 0;
  unsigned maxThreads = 1024;
};

struct Module {
  std::string name;
  std::vector<std::string> files;
  std::map<std::string, Kernel> kernels;
  std::vector<std::unique_ptr<std::uint8_t[]>> storage;  // of global and constant variables
  std::map<std::uint64_t, std::uint64_t> variables;      // their ranges
  std::vector<std::unique_ptr<std::string>> texts;
};

// What PTX this simulator cannot read or does not know; names the line.
struct PtxError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Token {
  std::string text;
  std::uint32_t line;
};
struct Lexed {
  std::vector<Token> tokens;
  std::vector<std::string> files;
  // For each token the source position in force: file and line of the .cu.
  std::vector<std::pair<std::uint16_t, std::uint32_t>> places;
};
Lexed lex(const std::string& ptx);

std::unique_ptr<Module> parse(const std::string& ptx);

// The PTX in a fatbin, or the text itself when it is PTX already. Throws PtxError when there is none to be read.
std::string ptxOf(const void* image);

// The families: each fills `run` (and what it needs of the other fields) when the opcode is its own, and gives false
// otherwise. `words` are the parts of the opcode between dots.
using Words = std::vector<std::string>;
bool integerFamily(const Words& words, Instruction& i);
bool bitFamily(const Words& words, Instruction& i);
bool floatFamily(const Words& words, Instruction& i);
bool conversionFamily(const Words& words, Instruction& i);
bool memoryFamily(const Words& words, Instruction& i);
bool controlFamily(const Words& words, Instruction& i);
bool warpFamily(const Words& words, Instruction& i);
bool tensorFamily(const Words& words, Instruction& i);

bool has(const Words& words, const char* word);

}  // namespace gpusim
