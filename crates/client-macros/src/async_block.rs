//! Functions that are not `async` and return an `async` block in a box, as the attribute `async_trait` writes
//! methods.

use syn::{
    Block, Expr, ExprAsync, ExprCall, ExprPath, GenericArgument, PathArguments, ReturnType,
    Signature, Stmt, Type, TypeParamBound,
};

/// The block, and its output, if `body` is nothing but such a block.
pub(crate) fn find<'f>(
    signature: &Signature,
    body: &'f mut Block,
) -> Option<(&'f mut ExprAsync, ReturnType)> {
    let ReturnType::Type(arrow, returned) = &signature.output else {
        return None;
    };
    let output = boxed_output(returned)?;
    let [Stmt::Expr(Expr::Call(ExprCall { func, args, .. }), None)] = &mut body.stmts[..] else {
        return None;
    };
    let is_box_pin = matches!(&**func, Expr::Path(ExprPath { path, .. })
        if path.segments.iter().rev().map(|it| it.ident.to_string()).take(2).eq(["pin", "Box"]));
    match args.first_mut() {
        Some(Expr::Async(block)) if is_box_pin && block.capture.is_some() => {
            Some((block, ReturnType::Type(*arrow, Box::new(output.clone()))))
        }
        _ => None,
    }
}

/// `T` in `Pin<Box<dyn Future<Output = T> + …>>`.
fn boxed_output(returned: &Type) -> Option<&Type> {
    let Type::TraitObject(object) = argument(argument(returned, "Pin")?, "Box")? else {
        return None;
    };
    object.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let future = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &future.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
            _ => None,
        })
    })
}

/// The first argument of a type with this name.
fn argument<'t>(kind: &'t Type, name: &str) -> Option<&'t Type> {
    let Type::Path(path) = kind else {
        return None;
    };
    let last = path.path.segments.last().filter(|it| it.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(kind) => Some(kind),
        _ => None,
    })
}
