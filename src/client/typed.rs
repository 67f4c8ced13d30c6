//! What a person does at the prompt.

/// What a person did at the prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A text, which may be several lines if it was pasted.
    Text(String),
    /// Ctrl-C.
    #[cfg_attr(
        not(feature = "line-editing"),
        expect(dead_code, reason = "it ends the process there")
    )]
    Nothing,
    /// The end of the input.
    End,
}
