//! The call of a function.

use std::sync::Arc;

use super::{convert, registry::KnownFunction};
use crate::{
    tfplugin::{
        conform,
        diagnostic::Diagnostics,
        function::{FunctionError, Signature},
        provider::Context,
        value::Value,
    },
    wire::tfplugin6 as wire,
};

pub async fn call(
    known: Arc<KnownFunction>,
    ctx: Context,
    request: wire::call_function::Request,
) -> Result<wire::call_function::Response, Diagnostics> {
    let arguments = arguments(&known.signature, &request.arguments)?;
    match known.this.call(&ctx, arguments).await {
        Ok(result) => {
            let (result, misfits) = conform::conform_type(&known.signature.returns, result);
            if misfits.is_empty() {
                return Ok(wire::call_function::Response { result: convert::dynamic(&result), error: None });
            }
            Err(misfits.iter().map(convert::misfit).collect())
        }
        Err(FunctionError { text, argument }) => {
            let function_argument = argument.and_then(|index| i64::try_from(index).ok());
            let error = wire::FunctionError { text, function_argument };
            Ok(wire::call_function::Response { result: None, error: Some(error) })
        }
    }
}

fn arguments(signature: &Signature, arguments: &[wire::DynamicValue]) -> Result<Vec<Value>, Diagnostics> {
    let parameters = signature.parameters.iter().chain(signature.variadic.iter().cycle());
    arguments
        .iter()
        .zip(parameters)
        .map(|(argument, parameter)| convert::value(Some(argument), &parameter.of))
        .collect()
}
