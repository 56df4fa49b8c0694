//! Entry points of the attribute macros.
use proc_macro::TokenStream;

/// Turns an impl block into a plugin.
#[proc_macro_attribute]
pub fn plugin(_attr: TokenStream, item: TokenStream) -> TokenStream {
    item
}
