//! What an expression may cost: to read, to keep and to evaluate.
//!
//! Expressions come from people who may configure or query, and still a slip of theirs must not hold a node up.

/// Bytes of an expression's text. The longest filter in our own documents has 200; a list of 200 tool names has 4 000.
pub const MAX_TEXT_BYTES: usize = 4 * 1024;

/// Brackets of any kind that may be open at once. Each level costs the parser up to 11 KiB of stack in a build without
/// optimisation, and a runtime's thread has 2 MiB.
pub const MAX_OPEN_BRACKETS: usize = 20;

/// Operators, members and indexes in one expression, `&&` and `||` apart: a chain of `+` or `.` takes the parser one level
/// of stack for each, and 2 000 of them overflow 2 MiB.
pub const MAX_LINKS: usize = 256;

/// Levels of the tree that was read. Evaluation goes as deep and takes up to 31 KiB of stack for each level, depending on how `cel` was
/// optimised; a runtime's thread has 2 MiB. `&&` and `||` take one level for each doubling.
pub const MAX_DEPTH: usize = 24;

/// Nodes of the tree that was read, by which the time of one pass over it is bounded.
pub const MAX_NODES: usize = 1024;

/// Loops (`exists`, `all`, `exists_one`, `filter`, `map`) inside one another, or after one another in one chain: two walk a
/// list within a list; three would be cubic in what a client sends.
pub const MAX_LOOP_DEPTH: usize = 2;

/// Uses of `+` in one expression, because each may copy a message's whole text.
pub const MAX_SUMS: usize = 16;

/// Bytes of a compiled pattern of `matches`; the `regex` crate's own default is ten times this, and no filter needs it.
pub const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// Values (members, elements, scalars) of one JSON fact. A `tools/list` of 1 000 tools has 30 000; each costs about 100 bytes.
pub const MAX_JSON_VALUES: usize = 200_000;

/// Work of one evaluation, in units of about a microsecond: what one step of a loop takes, or a KiB that is looked at.
pub const MAX_WORK: u64 = 1_000_000;

/// Nodes that count as one unit of work in each step of a loop: about what is evaluated in a microsecond.
pub(crate) const NODES_PER_UNIT: u64 = 16;

/// Bytes of a fact that count as one unit of work: about what is searched in a microsecond.
pub(crate) const BYTES_PER_UNIT: u64 = 1024;
