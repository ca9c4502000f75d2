//! How a command prints what it was asked for.

/// For people or for programs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

impl Format {
    /// What the flag may say.
    pub(super) const CHOICES: &str = "table|json";
    pub(super) const HELP: &str = "How to print: `table` for people, `json` for programs.";

    pub(super) fn parse(value: &str) -> Option<Self> {
        match value {
            "table" => Some(Self::Table),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}
