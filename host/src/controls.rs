//! Checks of the host that stop attacks which no layer of the sandbox could stop. Each is always made; only the tests' own
//! build can leave one out, to show that its attack then works.

macro_rules! checks {
    ($($name:ident $text:tt)*) => {
        /// A check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Check {
            $(
                #[doc = $text]
                $name,
            )*
        }

        impl Check {
            /// All of them.
            #[cfg(feature = "attack-controls")]
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

checks! {
    Deadline "A call has a deadline."
    CpuClock "A call has a limit of CPU time."
    Output "What a plugin prints is limited."
    Caller "Only the command that runs writes to the streams of its caller."
    Calls "Host calls are counted."
    FrameSize "A message has a largest size."
    CallNumber "An answer names the call that runs."
    AnswerForm "An answer has its form."
    Environment "The environment of a plugin is built, not inherited."
    Interface "A plugin has the interface that it is called by."
    Permission "A service needs its permission."
    Scope "An endpoint needs a scope that allows it."
    Address "An address needs a scope that allows it."
    Path "The path of a socket does not leave a directory that the plugin may change."
    ChainEnd "Ending the chain needs its permission."
    Secret "A secret value is masked for those who may not see it."
    Needed "A library needs those of the system alone."
    Dynamic "A library tells the dynamic loader nothing else."
    ElfForm "A library has the form of one."
    Digest "What is loaded has the digest of what was verified."
    Imports "A script imports what is listed alone."
    FileMode "A private file is nobody else's."
    Signature "An index is signed by the key that its signature names."
    KeyStrength "A key and a signature have one spelling, and none that fits everything."
    KnownKey "A key is one that the user trusts."
    KeyScope "A key is trusted for the name that it signs."
    KeyTime "A key is valid when something new is installed, and what is known of revoked ones is not old."
    Revocation "A key was not revoked."
    Maker "A plugin that another one needs, or that takes the place of another version, is of the maker that is meant."
    Rollback "A version is not older than the newest that was seen."
    Reuse "A version has the content that was seen of it."
}

#[cfg(not(feature = "attack-controls"))]
mod fixed {
    use super::Check;

    /// Whether a check is made.
    pub(crate) const fn makes(_: Check) -> bool {
        true
    }

    /// Tells a launcher which checks are left out: none.
    pub(crate) fn pass_on(_: &mut std::process::Command) {}
}

#[cfg(feature = "attack-controls")]
mod switched {
    use std::process::Command;
    use std::sync::OnceLock;

    use super::Check;

    /// Names the checks that are left out, as in `Deadline,Calls`.
    const VARIABLE: &str = "MIGRAINE_ATTACK_CONTROLS";

    /// Whether a check is made.
    pub(crate) fn makes(check: Check) -> bool {
        static LEFT_OUT: OnceLock<Vec<Check>> = OnceLock::new();
        !LEFT_OUT.get_or_init(left_out).contains(&check)
    }

    /// Tells a launcher which checks are left out.
    pub(crate) fn pass_on(launcher: &mut Command) {
        launcher.envs(std::env::var_os(VARIABLE).map(|names| (VARIABLE, names)));
    }

    fn left_out() -> Vec<Check> {
        let names = std::env::var(VARIABLE).unwrap_or_default();
        let is_named = |check: &Check| names.split(',').any(|name| name == format!("{check:?}"));
        Check::ALL.iter().copied().filter(is_named).collect()
    }
}

#[cfg(not(feature = "attack-controls"))]
pub(crate) use fixed::{makes, pass_on};
#[cfg(feature = "attack-controls")]
pub(crate) use switched::{makes, pass_on};
