//! Showing what is going on, on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::report::duration;

/// Stages of a run, shown while they last. On a terminal a line moves; elsewhere each stage is
/// printed when it is over.
pub struct Progress {
    bar: ProgressBar,
    moving: bool,
    stages: Vec<(String, Duration)>,
}

impl Progress {
    /// On standard error.
    pub fn new() -> Self {
        let moving = std::io::stderr().is_terminal();
        let bar = if moving { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        Self { bar, moving, stages: Vec::new() }
    }

    /// Begins a stage.
    pub fn begin(&self, stage: &str) -> Stage {
        self.bar.reset();
        self.bar.set_message(stage.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
        Stage { name: stage.to_owned(), began: Instant::now(), bar: self.bar.clone() }
    }

    /// Ends a stage with a word about its result.
    pub fn end(&mut self, stage: Stage, result: &str) {
        let took = stage.began.elapsed();
        let separator = if result.is_empty() { "" } else { ": " };
        self.say(&format!("{}{separator}{result} ({})", stage.name, duration(took)));
        self.stages.push((stage.name, took));
    }

    /// Prints a line.
    pub fn say(&self, line: &str) {
        if self.moving { self.bar.println(line) } else { eprintln!("{line}") }
    }

    /// Ends the display. What took how long.
    pub fn finish(self) -> Vec<(String, Duration)> {
        self.bar.finish_and_clear();
        self.stages
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A stage under way.
pub struct Stage {
    name: String,
    began: Instant,
    bar: ProgressBar,
}

impl Stage {
    /// Says how far it is.
    pub fn note(&self, detail: &str) {
        self.bar.set_message(format!("{}: {detail}", self.name));
    }
}
