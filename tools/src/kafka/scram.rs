//! Users' SCRAM credentials, as `kafka-configs` describes and alters them.

use ottla_client::{ScramChange, ScramMechanism};

use super::configs::refused;
use super::configs_args::Change;
use super::options::Options;
use super::{Failed, out};

/// As few times as Kafka lets a password be hashed, and as often as the tool has it when it is not
/// told.
const ITERATIONS_MIN: u32 = 4096;

/// The mechanism that a setting's name stands for.
pub(super) fn mechanism(name: &str) -> Option<ScramMechanism> {
    let all = [ScramMechanism::Sha256, ScramMechanism::Sha512];
    all.into_iter().find(|mechanism| mechanism.to_string() == name)
}

/// Prints which credentials a user has, or all users that have some.
pub(super) fn describe(options: &Options, user: Option<&str>) -> Result<(), Failed> {
    let users: Vec<&str> = user.into_iter().collect();
    for (user, infos) in options.admin()?.describe_user_scram_credentials(&users)? {
        let infos = match infos {
            Err(error)
                if error.code().and_then(|code| code.name()) == Some("RESOURCE_NOT_FOUND") =>
            {
                continue;
            }
            infos => infos?,
        };
        let infos = infos.iter().map(|of| format!("{}=iterations={}", of.mechanism, of.iterations));
        let infos = infos.collect::<Vec<_>>().join(", ");
        out(&format!("SCRAM credential configs for user-principal '{user}' are {infos}\n"))?;
    }
    Ok(())
}

/// Changes credentials of a user; all changes are of mechanisms.
pub(super) fn alter(
    options: &Options,
    user: &str,
    changes: &[Change],
    args: &[String],
) -> Result<(), Failed> {
    let change = |(name, value): &Change| -> Result<Option<ScramChange>, Failed> {
        let Some(mechanism) = mechanism(name) else { return Ok(None) };
        let user = user.to_owned();
        let Some(value) = value else { return Ok(Some(ScramChange::Delete { user, mechanism })) };
        let (iterations, password) = credential(mechanism, value).map_err(Failed::Err)?;
        if password.is_empty() {
            return Err(Failed::Err(format!(
                "Error while executing config command with args '{}'\n\
                 java.util.concurrent.ExecutionException: \
                 org.apache.kafka.common.errors.UnacceptableCredentialException: Password must not \
                 be empty",
                args.join(" ")
            )));
        }
        let password = password.as_bytes().to_vec();
        Ok(Some(ScramChange::Upsert { user, mechanism, iterations, salt: None, password }))
    };
    let changes = changes.iter().filter_map(|one| change(one).transpose());
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    for (_, result) in options.admin()?.alter_user_scram_credentials(&changes)? {
        result.map_err(|error| refused(args, &error))?;
    }
    Ok(())
}

/// `iterations=8192,password=secret`, or without the iterations. Whatever is behind `password=` is
/// of the password.
fn credential(mechanism: ScramMechanism, text: &str) -> Result<(u32, &str), String> {
    let name = mechanism.to_string();
    let wrong = || format!("Invalid credential property {}={text}", name.replace('-', "_"));
    let (iterations, rest) = match text.strip_prefix("iterations=") {
        None => (None, text),
        Some(rest) => {
            let (iterations, rest) = rest.split_once(',').ok_or_else(wrong)?;
            if !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong());
            }
            (Some(iterations), rest)
        }
    };
    let password = rest.strip_prefix("password=").ok_or_else(wrong)?;
    let Some(iterations) = iterations else { return Ok((ITERATIONS_MIN, password)) };
    let count = iterations.parse::<i32>().ok().and_then(|count| u32::try_from(count).ok());
    let count = count.ok_or_else(|| format!("For input string: \"{iterations}\""))?;
    if count < ITERATIONS_MIN {
        return Err(format!(
            "Iterations {count} is less than the minimum {ITERATIONS_MIN} required for {name}"
        ));
    }
    Ok((count, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_the_tool_does() {
        let of = |text| credential(ScramMechanism::Sha256, text);
        assert_eq!(of("iterations=8192,password=a=b,c"), Ok((8192, "a=b,c")));
        assert_eq!(of("password=b,iterations=5000"), Ok((4096, "b,iterations=5000")));
        for text in ["x", "iterations=8192", "iterations=1x,password=a", "iterations=1, password=a"]
        {
            assert_eq!(of(text), Err(format!("Invalid credential property SCRAM_SHA_256={text}")));
        }
        let few = "Iterations 100 is less than the minimum 4096 required for SCRAM-SHA-256";
        assert_eq!(of("iterations=100,password=a"), Err(few.to_owned()));
        let none = "For input string: \"99999999999\"";
        assert_eq!(of("iterations=99999999999,password=a"), Err(none.to_owned()));
        assert_eq!(mechanism("SCRAM-SHA-512"), Some(ScramMechanism::Sha512));
        assert_eq!(mechanism("SCRAM-SHA-1"), None);
    }
}
