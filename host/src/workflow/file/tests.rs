//! Tests of the file model with files of the kinds that exist.

use super::*;

fn yaml(text: &str) -> Result<Workflow, WorkflowError> {
    parse(Path::new("w.yaml"), text)
}

fn rules(rules: &[&str]) -> Vec<String> {
    rules.iter().map(|&rule| rule.to_owned()).collect()
}

#[test]
fn a_scaffolded_file_with_comments_and_null_sections_is_read() {
    let text = "name: deploy app\ndescription:\npre_checks:\n  # - command: true\nsteps:\n  - command: echo hi\n  - command: true\n    description: \"a {{x}}\"\n    on_fail: 'action:clean'\nactions:\n  # none\nconfig:\n  variables:\n    project: [\"slugify\", required]\n    port: 8080\n    big: 99999999999999999999\n    ratio: 1.5\n    on: true\n    nothing:\n    nested: {a: b}\n    from: env:HOME\n  store_logs: false\nuse_vault: false\nsome_future_field: {deep: [1, 2]}\n";
    let workflow = yaml(text).unwrap();
    assert_eq!(workflow.name, "deploy app");
    assert_eq!(workflow.description, "");
    assert!(workflow.pre_checks.is_empty() && workflow.actions.is_empty());
    assert_eq!(workflow.steps[1].command, "true");
    assert_eq!(StepHook::parse(&workflow.steps[1].on_fail), Ok(Some(StepHook::Action("clean"))));
    let value = |text: &str| VariableSpec { value: Some(text.to_owned()), ..VariableSpec::default() };
    let expected = [
        ("big", value("99999999999999999999")),
        ("from", value("env:HOME")),
        ("nested", VariableSpec::default()),
        ("nothing", VariableSpec::default()),
        ("on", value("true")),
        ("port", value("8080")),
        ("project", VariableSpec { rules: rules(&["slugify", "required"]), ..VariableSpec::default() }),
        ("ratio", value("1.5")),
    ];
    let found: Vec<_> = workflow.variables().iter().map(|(name, spec)| (name.as_str(), spec.clone())).collect();
    assert_eq!(found, expected);
}

#[test]
fn json_has_the_same_names() {
    let text = r#"{"name": "j", "steps": [{"command": "ls", "description": null}], "actions": null,
        "config": {"variables": {"n": 3}}, "use_vault": true}"#;
    let workflow = parse(Path::new("migraine.json"), text).unwrap();
    assert_eq!((workflow.name.as_str(), workflow.steps.len(), workflow.use_vault), ("j", 1, true));
    assert_eq!(workflow.variables()["n"].value.as_deref(), Some("3"));
}

#[test]
fn a_variable_is_declared_secret_in_three_ways() {
    let spec = |text: &str| yaml(&format!("config: {{variables: {{t: {text}}}}}")).map(|w| w.variables()["t"].clone());
    let required = VariableSpec { value: None, rules: rules(&["required"]), secret: true };
    for text in ["[required, secret]", "{secret: true, rules: [required]}", "{rules: [secret, required]}"] {
        assert_eq!(spec(text).unwrap(), required, "{text}");
    }
    let with_value = spec("{value: 'env:T', secret: true, later: [x]}").unwrap();
    assert_eq!((with_value.secret, with_value.value.as_deref()), (true, Some("env:T")));
    for text in ["secret", "{value: secret}", "{secret: false}", "[required]"] {
        assert!(!spec(text).unwrap().secret, "{text}");
    }
    for text in ["'yes'", "1", "[true]"] {
        assert!(spec(&format!("{{secret: {text}}}")).is_err(), "{text}");
    }
}

#[test]
fn a_null_config_an_empty_file_and_scalars_as_texts_are_read() {
    assert_eq!(yaml("").unwrap(), Workflow::default());
    assert_eq!(yaml("# only a comment\n").unwrap(), Workflow::default());
    assert!(yaml("name: a\nconfig:\nuse_vault:\n").unwrap().variables().is_empty());
    assert_eq!(yaml("name: 1.10\n").unwrap().name, "1.10");
    assert_eq!(yaml("\u{feff}name: a\n").unwrap().name, "a");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let check = |name: &str, text: &str, place: (usize, usize), part: &str| match parse(Path::new(name), text) {
        Err(WorkflowError::Invalid { line, column, reason, .. }) => {
            assert_eq!((line, column), place, "{text}: {reason}");
            assert!(reason.contains(part) && !reason.contains(" at line "), "{text}: {reason}");
        }
        other => panic!("{text}: {other:?}"),
    };
    check("w.yaml", "name: a\nname: b\n", (2, 1), "`name` appears twice");
    check("w.yaml", "actions:\n  x: {command: a}\n  x: {command: b}\n", (3, 3), "`x` appears twice");
    check("w.yaml", "steps:\n  - name: x\n", (2, 5), "missing field `command`");
    check("w.yaml", "steps:\n  - command: '  '\n", (2, 5), "steps[0]: a step has an empty command");
    check("w.yaml", "steps:\n  - command: [a]\n", (2, 14), "invalid type: sequence");
    check("w.yaml", "steps: 7\n", (1, 8), "invalid type");
    check("w.yaml", "name: [\n", (2, 1), "");
    check("w.yaml", "- a\n", (1, 1), "invalid type");
    check("w.yaml", "name: a\n---\nname: b\n", (0, 0), "more than one document");
    check("w.yaml", "use_vault: maybe\n", (1, 12), "invalid type");
    check("w.json", "{\"name\": \"a\",\n \"name\": \"b\"}", (2, 7), "`name` appears twice");
    check("w.json", "{\"steps\": [{}]}", (1, 13), "missing field `command`");
    check("w.json", "", (1, 0), "EOF");
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    assert!(yaml(laughs).is_err());
    assert!(yaml(&"[".repeat(100_000)).is_err());
    assert!(parse(Path::new("w.json"), &"[".repeat(100_000)).is_err());
}

#[test]
fn step_hooks_have_two_forms() {
    let check = |text, expected| assert_eq!(StepHook::parse(text), expected, "{text}");
    check("", Ok(None));
    check(" \n", Ok(None));
    check("action: clean ", Ok(Some(StepHook::Action("clean"))));
    check("run:echo a:b", Ok(Some(StepHook::Run("echo a:b"))));
    check("echo a", Err("echo a"));
    check("Action:x", Err("Action:x"));
}
