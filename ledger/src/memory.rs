//! A log in memory, for tests and throw-away servers.
