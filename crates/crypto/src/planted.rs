//! Defects planted on purpose, to show that a test notices each one.
//!
//! Where a check stands, `planted!("its name", wrong, right)` also writes down what the code would
//! do without it. Ordinary builds hold `right` and nothing else: no name, no switch. With the
//! feature `planted-defects`, which no package enables, the environment variable
//! [`VARIABLE`] chooses one defect by its name for the whole process. `make defects` turns each on
//! and demands that the test named beside it fails.

/// Whether defects can be turned on in this build. Programs that serve refuse to be built so.
pub const COMPILED_IN: bool = cfg!(feature = "planted-defects");

/// The environment variable that names the defect that is on.
pub const VARIABLE: &str = "QUITTANCE_DEFECT";

/// Whether the defect `name` is on. The variable is read once.
#[cfg(feature = "planted-defects")]
pub fn is_on(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var(VARIABLE).ok());
    CHOSEN.as_deref() == Some(name)
}

/// `planted!(name, wrong, right)`: `right`; see [the module](crate::planted).
#[cfg(not(feature = "planted-defects"))]
#[macro_export]
macro_rules! planted {
    ($name:literal, $wrong:expr, $right:expr $(,)?) => {
        $right
    };
}

/// `planted!(name, wrong, right)`: `wrong` if the defect is on, otherwise `right`; see
/// [the module](crate::planted).
#[cfg(feature = "planted-defects")]
#[macro_export]
macro_rules! planted {
    ($name:literal, $wrong:expr, $right:expr $(,)?) => {
        if $crate::planted::is_on($name) { $wrong } else { $right }
    };
}
