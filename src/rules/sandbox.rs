//! The engine, QuickJS by `rquickjs`, which nothing else names.
//!
//! A [`Sandbox`] is one QuickJS runtime of one thread; each login opens a fresh context in it, which sees the language,
//! `prelude.js`, and nothing of this machine: no loader is registered, so that `import` finds nothing, and the only host
//! function takes and gives texts ([`Calls`]). Memory and stack are limited by the engine, time by its interrupt handler
//! and by the job loop here. A few of its built-in functions cannot be interrupted; [`super::pool`] gives such a thread up.

use super::script::Kind;
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::function::IntoArgs;
use rquickjs::module::WriteOptions;
use rquickjs::{Context, Ctx, Error, Exception, FromJs, Function, Module, Object, Runtime, Value};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

/// What a script reaches by the host function, and what the job loop waits for.
pub(super) trait Calls {
    /// `arguments` are in JSON, and so is the answer. An error is thrown in the script.
    fn call(&self, run: u32, name: &str, arguments: &str) -> Result<Option<String>, String>;
    /// Has the script ended?
    fn ended(&self) -> Option<Result<(), Fault>>;
    /// Waits for a timer or a request, no longer than `until`.
    fn wait(&self, until: Instant) -> Waited;
}

/// What came of waiting.
pub(super) enum Waited {
    /// Number and JSON for `wake`.
    Wake(u32, String),
    /// There is nothing to wait for.
    Nothing,
    /// The time is over.
    Time,
}

/// Why a script did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Thrown {
        text: String,
        /// As the engine writes it; positions are those of the wrapped text.
        stack: String,
        /// An `UnauthorizedError`.
        denies: bool,
    },
    Time,
    Memory,
    /// Neither `callback` nor the returned promise ended the script, and nothing is left to wait for.
    NeverEnded,
}

impl Fault {
    pub(super) fn thrown(text: impl Into<String>) -> Self {
        Self::Thrown { text: text.into(), stack: String::new(), denies: false }
    }
}

/// What goes before a script's text, in its first line, and after it.
pub(super) const fn wrapping(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        // `0,` makes an expression of what would be a declaration.
        Kind::Rule => ("(function(console,fetch,setTimeout,clearTimeout,configuration,global,auth0,UnauthorizedError){return 0,", "\n})"),
        Kind::Action(_) => ("(function(console,fetch,setTimeout,clearTimeout){return function(exports,require,module){", "\n}})"),
    }
}

/// A runtime, and the time until which what it runs may run.
pub(super) struct Sandbox {
    runtime: Runtime,
    clock: Rc<Clock>,
}

struct Clock {
    until: Cell<Instant>,
    interrupted: Cell<bool>,
}

/// The intrinsics of a context: all but those by which garbage collection can be observed, and clocks finer than `Date`.
type Language = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Bytes that a context needs before any script runs, and some more.
const LEAST_MEMORY: usize = 2 * 1024 * 1024;
/// Jobs that a script may leave behind.
const MAX_LEFT: usize = 1000;
/// Bytes of the C stack; the threads of [`super::pool`] have four times as much.
const STACK: usize = 512 * 1024;

impl Sandbox {
    /// `None` where there is no memory for it. Must be called near the bottom of the thread's stack.
    pub(super) fn new() -> Option<Self> {
        let runtime = Runtime::new().ok()?;
        let clock = Rc::new(Clock { until: Cell::new(Instant::now()), interrupted: Cell::new(false) });
        let handler = Rc::clone(&clock);
        runtime.set_max_stack_size(STACK);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            let over = Instant::now() >= handler.until.get();
            if over {
                handler.interrupted.set(true);
            }
            over
        })));
        Some(Self { runtime, clock })
    }

    /// Opens a context for `work`, and closes it.
    pub(super) fn open<R>(
        &self,
        memory: usize,
        until: Instant,
        calls: Rc<dyn Calls>,
        work: impl FnOnce(&Session<'_>) -> R,
    ) -> Result<R, Fault> {
        self.clock.set(until);
        self.runtime.set_memory_limit(memory.max(LEAST_MEMORY));
        let context = Context::custom::<Language>(&self.runtime).map_err(|_| Fault::Memory)?;
        context.with(|ctx| Session::new(ctx, Rc::clone(&self.clock), calls).map(|session| work(&session)))
    }

    /// Nothing of what ran is left that could run or be seen in the next context. Otherwise the sandbox is to be dropped.
    pub(super) fn is_clean(&self) -> bool {
        if self.clock.interrupted.get() || self.runtime.is_job_pending() {
            return false;
        }
        self.runtime.run_gc();
        !self.runtime.is_job_pending()
    }

    /// Octets that the runtime holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> i64 {
        self.runtime.memory_usage().malloc_size
    }
}

impl Clock {
    fn set(&self, until: Instant) {
        self.until.set(until);
        self.interrupted.set(false);
    }
}

/// A context in use.
pub(super) struct Session<'js> {
    ctx: Ctx<'js>,
    prelude: Object<'js>,
    clock: Rc<Clock>,
    calls: Rc<dyn Calls>,
}

impl<'js> Session<'js> {
    fn new(ctx: Ctx<'js>, clock: Rc<Clock>, calls: Rc<dyn Calls>) -> Result<Self, Fault> {
        let host = {
            let calls = Rc::clone(&calls);
            move |ctx: Ctx<'js>, run: u32, name: String, arguments: String| {
                calls.call(run, &name, &arguments).map_err(|text| Exception::throw_message(&ctx, &text))
            }
        };
        let made: Result<Object<'js>, Error> = (|| {
            let host = Function::new(ctx.clone(), host)?;
            prelude(&ctx)?.call((host,))
        })();
        match made {
            Ok(prelude) => Ok(Self { ctx, prelude, clock, calls }),
            Err(_) => {
                ctx.catch();
                Err(if clock.interrupted.get() { Fault::Time } else { Fault::Memory })
            }
        }
    }

    /// From now on, what runs may run until then.
    pub(super) fn until(&self, until: Instant) {
        self.clock.set(until);
    }

    /// `configuration` and `global` of rules in JSON, and `auth0.domain`.
    pub(super) fn begin_rules(&self, configuration: &str, kept: &str, domain: &str) -> Result<(), Fault> {
        self.ask("begin", (configuration, kept, domain))
    }

    /// `[user, context]` of the next rule, where it is not what the last one left.
    pub(super) fn load(&self, texts: &str) -> Result<(), Fault> {
        self.ask("load", (texts,))
    }

    /// `[user, context]` as the last rule left them.
    pub(super) fn snapshot(&self) -> Result<String, Fault> {
        self.ask("snapshot", ())
    }

    /// `global` as rules left it.
    pub(super) fn kept(&self) -> Result<Option<String>, Fault> {
        self.ask("keep", ())
    }

    /// Runs a rule until it has called back.
    pub(super) fn rule(&self, run: u32, code: &str) -> Result<(), Fault> {
        let made = self.compile(run, Kind::Rule, code)?;
        self.ask::<()>("rule", (run, made))?;
        self.settle()
    }

    /// Runs what an action exports as `entry` until it has ended; an `optional` one may be missing.
    pub(super) fn action(&self, run: u32, code: &str, kind: Kind, event: &Event<'_>) -> Result<(), Fault> {
        let made = self.compile(run, kind, code)?;
        let texts = (run, made, event.event, event.secrets, event.entry, event.optional);
        self.ask::<Value<'js>>("action", texts)?;
        self.settle()
    }

    /// Reads a text without running it.
    pub(super) fn compile(&self, run: u32, kind: Kind, code: &str) -> Result<Function<'js>, Fault> {
        if code.contains('\0') {
            return Err(Fault::thrown("the text contains a NUL character"));
        }
        let (before, after) = wrapping(kind);
        let text = [before, code, after].concat();
        self.ctx.eval_with_options(text, options(file(run))).map_err(|error| self.fault(&error))
    }

    /// Runs the jobs that a script left behind. `false` where they do not end, and the context is of no more use.
    pub(super) fn drain(&self) -> bool {
        for _ in 0..MAX_LEFT {
            if self.clock.interrupted.get() {
                return false;
            }
            if !self.ctx.execute_pending_job() {
                return true;
            }
        }
        false
    }

    /// Runs jobs, timers and answers until the script has ended, or its time.
    fn settle(&self) -> Result<(), Fault> {
        loop {
            if let Some(ended) = self.calls.ended() {
                return ended;
            }
            // Each job is interrupted on its own; a chain of short ones ends here.
            if self.clock.interrupted.get() || Instant::now() >= self.clock.until.get() {
                self.clock.interrupted.set(true);
                return Err(Fault::Time);
            }
            if self.ctx.execute_pending_job() {
                continue;
            }
            match self.calls.wait(self.clock.until.get()) {
                Waited::Wake(number, answer) => self.ask::<()>("wake", (number, answer))?,
                Waited::Nothing => return Err(Fault::NeverEnded),
                Waited::Time => {}
            }
        }
    }

    fn ask<R: FromJs<'js>>(&self, name: &str, arguments: impl IntoArgs<'js>) -> Result<R, Fault> {
        let function: Function<'js> = self.prelude.get(name).map_err(|error| self.fault(&error))?;
        function.call(arguments).map_err(|error| self.fault(&error))
    }

    /// What was thrown, in words.
    fn fault(&self, error: &Error) -> Fault {
        if !matches!(error, Error::Exception) {
            return if matches!(error, Error::Allocation) { Fault::Memory } else { Fault::thrown(error.to_string()) };
        }
        let thrown = self.ctx.catch();
        if self.clock.interrupted.get() {
            return Fault::Time;
        }
        let described: Result<String, Error> = self.prelude.get("describe").and_then(|describe: Function<'js>| describe.call((thrown,)));
        match described {
            Ok(described) => read_fault(&described),
            Err(_) => {
                self.ctx.catch();
                if self.clock.interrupted.get() { Fault::Time } else { Fault::thrown("an error that cannot be read") }
            }
        }
    }
}

/// The function of `prelude.js`. Its text is compiled once in the program's life, or it would cost each login more than
/// everything else here.
#[expect(unsafe_code, reason = "the bytecode was written by this very engine in this very process, from a text of ours")]
fn prelude<'js>(ctx: &Ctx<'js>) -> Result<Function<'js>, Error> {
    static COMPILED: OnceLock<Vec<u8>> = OnceLock::new();
    let compiled = match COMPILED.get() {
        Some(compiled) => compiled,
        None => {
            // No `import` ends at a name that begins so: it is resolved before it is looked up.
            let module = Module::declare(ctx.clone(), "./prelude", include_str!("prelude.js"))?;
            let compiled = module.write(WriteOptions { strip_source: true, ..WriteOptions::default() })?;
            COMPILED.get_or_init(|| compiled)
        }
    };
    // SAFETY: `load` trusts the bytecode. Nothing but `write` above makes it, and nothing can change it.
    let (module, _) = unsafe { Module::load(ctx.clone(), compiled) }?.eval()?;
    module.get("default")
}

/// What an action is called with.
pub(super) struct Event<'a> {
    pub(super) event: &'a str,
    pub(super) secrets: &'a str,
    pub(super) entry: &'a str,
    pub(super) optional: bool,
}

/// Reads what `describe` of the prelude wrote.
pub(super) fn read_fault(described: &str) -> Fault {
    let Ok((text, stack, denies)) = serde_json::from_str::<(String, String, bool)>(described) else {
        return Fault::thrown("an error that cannot be read");
    };
    // QuickJS's own words; where there is no memory even for these, it throws `null`, or something that is no value.
    match text.as_str() {
        "InternalError: out of memory" | "[uninitialized]" if !denies => Fault::Memory,
        "null" if !denies && stack.is_empty() => Fault::thrown("null was thrown: by the script, or because the memory was used up"),
        _ => Fault::Thrown { text, stack, denies },
    }
}

/// Name of the script's text in stacks.
pub(super) fn file(run: u32) -> String {
    format!("script{run}")
}

fn options(name: String) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name);
    options
}
