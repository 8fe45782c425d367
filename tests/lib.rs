//! The tests of the whole: contract, end to end, template. Each folder is one test binary.
