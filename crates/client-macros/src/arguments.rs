//! The arguments of a function, and which of them are shown.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Ident, Pat, Signature};

enum Visibility {
    Shown,
    Redacted,
    Skipped,
}

const NAMELESS: &str = "name the argument, because people read its name; or mark it `#[approval(skip)]` if it \
                        is not part of the decision";

/// Only a macro can do that: to the compiler, its names differ from those of its caller.
const NAMED_TWICE: &str = "another argument has this name, and people would see one of them: rename it; or mark it \
                           `#[approval(skip)]` if it is not part of the decision";

/// Removes the marks from the arguments, and returns the expression of an `ArgumentsResult`.
pub(crate) fn extract(signature: &mut Signature) -> syn::Result<TokenStream> {
    let empty = quote!(::human_oversight_client::__gated::Arguments::new());
    let mut arguments = quote!(::core::result::Result::Ok(#empty));
    let mut names = HashSet::new();
    for argument in &mut signature.inputs {
        let FnArg::Typed(argument) = argument else {
            // `self` is what acts, not what is done.
            continue;
        };
        let method = match extract_mark(&mut argument.attrs)? {
            Visibility::Shown => quote!(shown),
            Visibility::Redacted => quote!(redacted),
            Visibility::Skipped => continue,
        };
        let Pat::Ident(pattern) = &*argument.pat else {
            return Err(Error::new(argument.pat.span(), NAMELESS));
        };
        let name = &pattern.ident;
        // What `async_trait` calls an argument that had a pattern.
        if name.to_string().starts_with("__arg") {
            return Err(Error::new(name.span(), NAMELESS));
        }
        let text = without_raw_prefix(name);
        if !names.insert(text.clone()) {
            return Err(Error::new(name.span(), NAMED_TWICE));
        }
        arguments = quote_spanned! {argument.ty.span()=>
            #arguments.and_then(|__arguments| __arguments.#method(#text, &#name))
        };
    }
    Ok(arguments)
}

/// Removes the mark, an attribute that the compiler does not know.
fn extract_mark(attributes: &mut Vec<Attribute>) -> syn::Result<Visibility> {
    let mut visibility = Visibility::Shown;
    let mut marks = 0;
    for attribute in attributes
        .iter()
        .filter(|it| it.path().is_ident("approval"))
    {
        let mark: Ident = attribute.parse_args()?;
        marks += 1;
        if marks > 1 {
            return Err(Error::new(mark.span(), "duplicate mark"));
        }
        visibility = match mark.to_string().as_str() {
            "skip" => Visibility::Skipped,
            "redact" => Visibility::Redacted,
            _ => return Err(Error::new(mark.span(), "expected `skip` or `redact`")),
        };
    }
    attributes.retain(|it| !it.path().is_ident("approval"));
    Ok(visibility)
}

fn without_raw_prefix(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
