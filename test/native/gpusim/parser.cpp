// Chapter 2: sentences. Declarations give variables their places, instructions get their operands as rows, and labels
// become numbers.
#include <cstring>

#include "ptx.h"

namespace gpusim {

namespace {

class Parser {
 public:
  explicit Parser(const std::string& ptx) : lexed_(lex(ptx)), module_(std::make_unique<Module>()) {}

  std::unique_ptr<Module> run() {
    module_->files = lexed_.files;
    while (at_ < lexed_.tokens.size()) statement();
    return std::move(module_);
  }

 private:
  const std::string& peek(std::size_t ahead = 0) const {
    static const std::string end;
    return at_ + ahead < lexed_.tokens.size() ? lexed_.tokens[at_ + ahead].text : end;
  }
  std::string next() {
    if (at_ >= lexed_.tokens.size()) error("the text ends in the middle");
    return lexed_.tokens[at_++].text;
  }
  void expect(const char* word) {
    if (next() != word) error("expected '" + std::string(word) + "' before '" + lexed_.tokens[at_ - 1].text + "'");
  }
  bool accept(const char* word) {
    if (peek() != word) return false;
    at_++;
    return true;
  }
  [[noreturn]] void error(const std::string& what) const {
    const std::size_t at = at_ < lexed_.tokens.size() ? at_ : lexed_.tokens.size() - 1;
    throw PtxError("PTX line " + std::to_string(lexed_.tokens[at].line) + ": " + what);
  }

  void skipPast(const char* open, const char* close) {
    int depth = 0;
    do {
      const std::string word = next();
      if (word == open) depth++;
      if (word == close) depth--;
    } while (depth > 0);
  }

  void statement() {
    const std::string word = next();
    if (word == ".version" || word == ".target" || word == ".address_size") {
      next();
      while (accept(",")) next();
    } else if (word == ".section") {
      next();
      skipPast("{", "}");
    } else if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common") {
      return;
    } else if (word == ".entry") {
      entry();
    } else if (word == ".func") {
      error("device functions that are called are not simulated: inline them");
    } else if (word == ".global" || word == ".const" || word == ".shared") {
      variable(word);
    } else {
      error("'" + word + "' is not known here");
    }
  }

  std::uint64_t number(const std::string& word) const {
    if (word.size() == 10 && (word.compare(0, 2, "0f") == 0 || word.compare(0, 2, "0F") == 0))
      return std::stoull(word.substr(2), nullptr, 16);
    if (word.size() == 18 && (word.compare(0, 2, "0d") == 0 || word.compare(0, 2, "0D") == 0))
      return std::stoull(word.substr(2), nullptr, 16);
    std::string digits = word;
    if (digits.back() == 'U') digits.pop_back();
    return std::stoull(digits, nullptr, 0);
  }

  // After .global, .const, .shared, .local, .param: [.align n] [.ptr ...] .type name [ '[' n ']' ] [ = ... ] ;
  struct Declared {
    std::string name;
    std::uint64_t align = 1;
    std::uint64_t bytes = 0;
    int elementBytes = 1;
  };
  Declared declaration() {
    Declared d;
    while (peek() == ".align" || peek() == ".ptr" || peek() == ".global" || peek() == ".attribute") {
      if (next() == ".align") d.align = number(next());
    }
    const Type type = typeOf(next().substr(1));
    if (type == Type::none) error("a variable without a type");
    d.elementBytes = bytesOf(type);
    if (d.align < static_cast<std::uint64_t>(d.elementBytes)) d.align = static_cast<std::uint64_t>(d.elementBytes);
    d.name = next();
    d.bytes = static_cast<std::uint64_t>(d.elementBytes);
    if (accept("[")) {
      d.bytes = peek() == "]" ? 0 : static_cast<std::uint64_t>(d.elementBytes) * number(next());
      expect("]");
    }
    return d;
  }

  static std::uint64_t place(std::uint64_t& top, const Declared& d) {
    top = (top + d.align - 1) / d.align * d.align;
    const std::uint64_t at = top;
    top += d.bytes;
    return at;
  }

  void variable(const std::string& space) {
    const Declared d = declaration();
    if (space == ".shared") {
      // Of the module: every kernel sees it; an extern one without a size lies behind all others.
      if (d.bytes == 0)
        dynamic_.push_back(d.name);
      else
        moduleShared_.push_back(d);
      expect(";");
      return;
    }
    auto data = std::make_unique<std::uint8_t[]>(d.bytes + 16);
    if (accept("=")) initialise(data.get(), d);
    expect(";");
    const auto address = reinterpret_cast<std::uint64_t>(data.get());
    const std::uint64_t at = (address + 15) / 16 * 16;
    if (at != address) std::memmove(reinterpret_cast<void*>(at), data.get(), d.bytes);
    module_->variables[at] = d.bytes;
    globals_[d.name] = {space == ".const" ? Space::constant : Space::global, at, d.bytes};
    module_->storage.push_back(std::move(data));
  }

  void initialise(std::uint8_t* data, const Declared& d) {
    const bool list = accept("{");
    std::uint64_t at = 0;
    do {
      const bool negative = accept("-");
      std::uint64_t value = number(next());
      if (negative) value = ~value + 1;
      if (at + static_cast<std::uint64_t>(d.elementBytes) > d.bytes && list) error("too many initial values");
      std::memcpy(data + at, &value, static_cast<std::size_t>(d.elementBytes));
      at += static_cast<std::uint64_t>(d.elementBytes);
    } while (list && accept(","));
    if (list) expect("}");
  }

  void entry() {
    kernel_ = Kernel{};
    registers_.clear();
    constants_.clear();
    specials_.clear();
    locals_.clear();
    labels_.clear();
    jumps_.clear();
    kernel_.name = next();
    expect("(");
    while (!accept(")")) {
      expect(".param");
      const Declared d = declaration();
      kernel_.params.push_back({Space::param, place(kernel_.paramBytes, d), d.bytes});
      locals_[d.name] = kernel_.params.back();
      accept(",");
    }
    for (const Declared& d : moduleShared_) locals_[d.name] = {Space::shared, place(kernel_.sharedBytes, d), d.bytes};
    while (peek() != "{") {
      const std::string directive = next();
      const std::uint64_t value = number(next());
      if (directive == ".maxntid") kernel_.maxThreads = static_cast<unsigned>(value);
      while (accept(",")) next();
    }
    body();
    for (const auto& [at, label] : jumps_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) error("no label " + label);
      kernel_.code[at].target = found->second;
    }
    // Dynamic shared memory lies behind the static part, aligned to 16 bytes.
    kernel_.sharedBytes = (kernel_.sharedBytes + 15) / 16 * 16;
    for (const Row row : dynamicRows_) kernel_.constants[row] = kernel_.sharedBytes;
    dynamicRows_.clear();
    module_->kernels.emplace(kernel_.name, std::move(kernel_));
  }

  void body() {
    expect("{");
    while (!accept("}")) {
      if (peek() == "{") {
        body();
      } else if (peek() == ".reg") {
        registers();
      } else if (peek() == ".shared") {
        next();
        const Declared d = declaration();
        locals_[d.name] = {Space::shared, place(kernel_.sharedBytes, d), d.bytes};
        expect(";");
      } else if (peek() == ".local") {
        next();
        const Declared d = declaration();
        locals_[d.name] = {Space::local, place(kernel_.localBytes, d), d.bytes};
        expect(";");
      } else if (peek() == ".pragma") {
        while (next() != ";") continue;
      } else if (peek(1) == ":") {
        labels_[next()] = static_cast<std::uint32_t>(kernel_.code.size());
        expect(":");
      } else {
        instruction();
      }
    }
  }

  void registers() {
    expect(".reg");
    next();  // the type is repeated by every use
    do {
      std::string name = next();
      if (accept("<")) {
        const std::uint64_t count = number(next());
        expect(">");
        for (std::uint64_t i = 0; i < count; i++) registers_[name + std::to_string(i)] = kernel_.rows++;
      } else {
        registers_[name] = kernel_.rows++;
      }
    } while (accept(","));
    expect(";");
  }

  Row constantRow(std::uint64_t value) {
    const auto found = constants_.find(value);
    if (found != constants_.end()) return found->second;
    const Row row = kernel_.rows++;
    constants_[value] = row;
    kernel_.constants[row] = value;
    return row;
  }

  // The address a symbol stands for in its own space.
  Row symbolRow(const std::string& name) {
    for (const std::string& d : dynamic_) {
      if (d != name) continue;
      const Row row = kernel_.rows++;
      dynamicRows_.push_back(row);
      return row;
    }
    const auto local = locals_.find(name);
    if (local != locals_.end()) return constantRow(local->second.at);
    const auto global = globals_.find(name);
    if (global != globals_.end()) return constantRow(global->second.at);
    error("'" + name + "' is not declared");
  }

  Row operand(const std::string& word) {
    const auto found = registers_.find(word);
    if (found != registers_.end()) return found->second;
    if (word[0] == '%') {
      const auto known = specials_.find(word);
      if (known != specials_.end()) return known->second;
      const Row row = kernel_.rows++;
      specials_[word] = row;
      kernel_.specials[row] = word;
      return row;
    }
    if (word == "_") return noRow;
    if (std::isdigit(static_cast<unsigned char>(word[0])) != 0) return constantRow(number(word));
    return symbolRow(word);
  }

  Row value() {
    if (accept("-")) return constantRow(~number(next()) + 1);
    if (accept("!")) error("a negated operand is not simulated");
    return operand(next());
  }

  void instruction() {
    Instruction i;
    i.ptxLine = lexed_.tokens[at_].line;
    std::tie(i.file, i.line) = lexed_.places[at_];
    const std::size_t start = at_;
    if (accept("@")) {
      i.guardNot = accept("!");
      i.guard = operand(next());
    }
    const std::string opcode = next();
    Words words;
    for (std::size_t from = 0; from <= opcode.size();) {
      const std::size_t dot = std::min(opcode.find('.', from), opcode.size());
      words.push_back(opcode.substr(from, dot - from));
      from = dot + 1;
    }
    operands(words, i);
    std::string text;
    for (std::size_t t = start; t < at_; t++) text += (t > start ? " " : "") + lexed_.tokens[t].text;
    module_->texts.push_back(std::make_unique<std::string>(text));
    i.text = module_->texts.back().get();
    for (const std::string& word : words) {
      const Type type = typeOf(word);
      if (type == Type::none) continue;
      if (i.type == Type::none)
        i.type = type;
      else if (i.from == Type::none)
        i.from = type;
    }
    const bool known = controlFamily(words, i) || memoryFamily(words, i) || conversionFamily(words, i) ||
                       floatFamily(words, i) || integerFamily(words, i) || bitFamily(words, i) ||
                       warpFamily(words, i) || tensorFamily(words, i);
    if (!known || i.run == nullptr) error("'" + text + "' is not simulated");
    kernel_.code.push_back(i);
  }

  // The first operand (or vector, or address of a store) is what is written, unless the opcode writes nothing.
  void operands(const Words& words, Instruction& i) {
    static const std::map<std::string, int> writesNothing = {
        {"st", 1},  {"bra", 1},      {"ret", 1},       {"exit", 1},    {"trap", 1},
        {"bar", 1}, {"barrier", 1},  {"red", 1},       {"membar", 1},  {"fence", 1},
        {"cp", 1},  {"prefetch", 1}, {"nanosleep", 1}, {"discard", 1}, {"pmevent", 1}};
    const bool barReduces = words[0] == "barrier" ? false : words[0] == "bar" && has(words, "red");
    bool writes = writesNothing.count(words[0]) == 0 || barReduces;
    while (!accept(";")) {
      if (words[0] == "bra") {
        jumps_.emplace_back(kernel_.code.size(), next());
        continue;
      }
      if (accept(",")) continue;
      if (accept("|")) {  // a second destination: setp %p|%q, shfl %r|%p
        i.dst[i.dsts++] = operand(next());
        writes = false;
        continue;
      }
      if (accept("{")) {
        while (!accept("}")) {
          const Row row = value();
          if (writes)
            i.dst[i.dsts++] = row;
          else
            i.src[i.srcs++] = row;
          accept(",");
        }
      } else if (accept("[")) {
        i.src[i.srcs++] = value();
        if (accept("+")) {
          const bool negative = accept("-");
          const auto offset = static_cast<std::int64_t>(number(next()));
          i.immediate = negative ? -offset : offset;
        } else if (accept("-")) {
          i.immediate = -static_cast<std::int64_t>(number(next()));
        }
        expect("]");
      } else {
        const Row row = value();
        if (writes)
          i.dst[i.dsts++] = row;
        else
          i.src[i.srcs++] = row;
      }
      if (i.srcs > 15 || i.dsts > 7) error("more operands than any instruction has");
      if (peek() != "|") writes = false;
    }
  }

  Lexed lexed_;
  std::size_t at_ = 0;
  std::unique_ptr<Module> module_;
  std::map<std::string, Variable> globals_;
  std::vector<Declared> moduleShared_;
  std::vector<std::string> dynamic_;
  std::vector<Row> dynamicRows_;
  // Of the kernel being read.
  Kernel kernel_;
  std::map<std::string, Row> registers_;
  std::map<std::uint64_t, Row> constants_;
  std::map<std::string, Row> specials_;
  std::map<std::string, Variable> locals_;
  std::map<std::string, std::uint32_t> labels_;
  std::vector<std::pair<std::size_t, std::string>> jumps_;
};

}  // namespace

std::unique_ptr<Module> parse(const std::string& ptx) { return Parser(ptx).run(); }

}  // namespace gpusim
