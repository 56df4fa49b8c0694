//! One compile-fail case per message of the macros. A case is one defect in one file named after it; the expected text
//! is written anew by `TRYBUILD=overwrite` and reviewed.
#![forbid(unsafe_code)]

#[test]
fn wrong_uses_are_refused_at_the_guilty_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
