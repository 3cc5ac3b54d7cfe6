//! The arguments of a function, and how they are shown.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Ident, Pat, Signature};

enum Shown {
    AsItIs,
    Redacted,
    Skipped,
}

/// Takes the marks off the arguments, and makes the expression that shows them.
pub(crate) fn take(signature: &mut Signature) -> syn::Result<TokenStream> {
    let none = quote!(::human_oversight_client::__gated::Arguments::new());
    let mut shown = quote!(::core::result::Result::Ok(#none));
    for argument in &mut signature.inputs {
        let FnArg::Typed(argument) = argument else {
            // `self` is who acts, not what is done.
            continue;
        };
        let how = marked(&mut argument.attrs)?;
        let method = match how {
            Shown::AsItIs => quote!(shown),
            Shown::Redacted => quote!(redacted),
            Shown::Skipped => continue,
        };
        let Pat::Ident(pattern) = &*argument.pat else {
            let why = "give the argument a name, which people will read; or mark it `#[approval(skip)]`, \
                       if it is no part of the decision";
            return Err(Error::new(argument.pat.span(), why));
        };
        let name = &pattern.ident;
        let text = readable(name);
        shown = quote_spanned! {argument.ty.span()=>
            #shown.and_then(|__arguments| __arguments.#method(#text, &#name))
        };
    }
    Ok(shown)
}

/// How an argument is marked; the mark is no attribute that the compiler knows.
fn marked(attributes: &mut Vec<Attribute>) -> syn::Result<Shown> {
    let mut how = Shown::AsItIs;
    let mut marks = 0;
    for attribute in attributes
        .iter()
        .filter(|it| it.path().is_ident("approval"))
    {
        let mark: Ident = attribute.parse_args()?;
        marks += 1;
        if marks > 1 {
            return Err(Error::new(mark.span(), "one mark is enough"));
        }
        how = match mark.to_string().as_str() {
            "skip" => Shown::Skipped,
            "redact" => Shown::Redacted,
            _ => return Err(Error::new(mark.span(), "it must be `skip` or `redact`")),
        };
    }
    attributes.retain(|it| !it.path().is_ident("approval"));
    Ok(how)
}

fn readable(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
