//! Concealment.
