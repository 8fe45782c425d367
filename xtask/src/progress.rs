//! Progress of long tasks: a bar for each task on a terminal, a line every 15 seconds in a log.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The interval of lines in a log.
const INTERVAL: Duration = Duration::from_secs(15);

/// Shows the running tasks.
pub(crate) struct ProgressDisplay {
    bars: Option<MultiProgress>,
    running: Arc<Mutex<Vec<Arc<Mutex<TaskState>>>>>,
    reporter: Option<(Sender<()>, JoinHandle<()>)>,
}

struct TaskState {
    name: String,
    started: Instant,
    /// The count at the start, which was reached before the task began.
    first: Option<u64>,
    done: u64,
    total: u64,
    message: String,
}

impl ProgressDisplay {
    pub(crate) fn start() -> Self {
        let running: Arc<Mutex<Vec<Arc<Mutex<TaskState>>>>> = Arc::default();
        if std::io::stderr().is_terminal() {
            return Self { bars: Some(MultiProgress::new()), running, reporter: None };
        }
        let (stop, stopped) = mpsc::channel();
        let tasks = Arc::clone(&running);
        let reporter = std::thread::spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for task in lock(&tasks).iter() {
                    println!("   ... {}", lock(task).line());
                }
            }
        });
        Self { bars: None, running, reporter: Some((stop, reporter)) }
    }

    /// Starts a task; `name` describes it ("installing the Python tools").
    pub(crate) fn task(&self, name: &str) -> ProgressTask {
        let state = TaskState {
            name: name.to_owned(),
            started: Instant::now(),
            first: None,
            done: 0,
            total: 0,
            message: String::new(),
        };
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            set_style(&bar, "   {spinner} {elapsed:>4}  {prefix} {wide_msg:.dim}");
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let state = Arc::new(Mutex::new(state));
        lock(&self.running).push(Arc::clone(&state));
        ProgressTask { state, bar, running: Arc::clone(&self.running) }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some((stop, reporter)) = self.reporter.take() {
            drop(stop);
            let _ = reporter.join();
        }
    }
}

/// A running task. It ends when it is dropped; [`ProgressTask::finish`] also prints its duration.
pub(crate) struct ProgressTask {
    state: Arc<Mutex<TaskState>>,
    bar: Option<ProgressBar>,
    running: Arc<Mutex<Vec<Arc<Mutex<TaskState>>>>>,
}

impl ProgressTask {
    /// Shows the current step of the task.
    pub(crate) fn message(&self, message: &str) {
        message.trim().clone_into(&mut lock(&self.state).message);
        if let Some(bar) = &self.bar {
            bar.set_message(message.trim().to_owned());
        }
    }

    /// Shows a count, relative to the first count of the task.
    pub(crate) fn count(&self, done: u64, total: u64, message: &str) {
        let (done, total) = {
            let mut state = lock(&self.state);
            let first = *state.first.get_or_insert(done);
            (state.done, state.total) = (done.saturating_sub(first), total.saturating_sub(first));
            (state.done, state.total)
        };
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_length(total);
                set_style(bar, "   {spinner} {elapsed:>4}  {prefix} {bar:20} {pos}/{len}, {eta} left {wide_msg:.dim}");
            }
            bar.set_position(done);
        }
        self.message(message);
    }

    /// Prints a line above the bars.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("   {text}")),
            None => println!("   {text}"),
        }
    }

    /// Ends the task and prints its duration.
    pub(crate) fn finish(self) {
        let line = {
            let state = lock(&self.state);
            format!("{} {} {}", style("✓").green(), state.name, style(took(state.started.elapsed())).dim())
        };
        self.note(&line);
    }
}

impl Drop for ProgressTask {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        lock(&self.running).retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}

impl TaskState {
    fn line(&self) -> String {
        let elapsed = self.started.elapsed();
        let mut line = format!("{} {}", took(elapsed), self.name);
        if self.total > 0 {
            line += &format!(": {} of {}", self.done, self.total);
        }
        // The first crates are small: an early estimate would be too low.
        if self.done * 5 > self.total && self.done < self.total && self.total > 0 {
            let left = elapsed.mul_f64((self.total - self.done) as f64 / self.done as f64);
            line += &format!(", about {} left", took(left));
        }
        if self.message.is_empty() { line } else { format!("{line} ({})", self.message) }
    }
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// Formats a duration: `9 s`, `2 min 05 s`.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
