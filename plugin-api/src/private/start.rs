//! How a plugin without `#[init]` is made: by `Default`, else as the unit struct it is.
//!
//! The three traits are tried in this order by method lookup, which takes references off one by one.

use std::marker::PhantomData;

/// A value that may be the plugin itself.
#[derive(Debug)]
pub struct Start<V, T>(fn() -> V, PhantomData<T>);

/// Stands for the name of a type that is no value.
#[derive(Debug)]
pub struct NotUnit;

impl<V, T> Start<V, T> {
    /// The type's name, as a value.
    pub fn new(value: fn() -> V) -> Self {
        Self(value, PhantomData)
    }
}

/// First choice.
pub trait StartDefault<T> {
    /// The plugin.
    fn start(&self) -> T;
}

impl<V, T: Default> StartDefault<T> for &&Start<V, T> {
    fn start(&self) -> T {
        T::default()
    }
}

/// Second choice.
pub trait StartUnit<T> {
    /// The plugin.
    fn start(&self) -> T;
}

impl<T> StartUnit<T> for &Start<T, T> {
    fn start(&self) -> T {
        (self.0)()
    }
}

/// No choice left: the compiler says so.
pub trait StartNothing<T> {
    /// Never called.
    fn start(&self) -> T
    where
        T: Startable;
}

impl<V, T> StartNothing<T> for Start<V, T> {
    fn start(&self) -> T
    where
        T: Startable,
    {
        T::start()
    }
}

/// Implemented by nothing.
#[diagnostic::on_unimplemented(
    message = "the host does not know how to make `{Self}`",
    label = "neither a unit struct nor `Default`",
    note = "write a function with `#[init]`, or derive `Default`"
)]
pub trait Startable {
    /// Never called.
    fn start() -> Self;
}
