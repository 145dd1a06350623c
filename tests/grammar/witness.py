"""What the cases of this folder share: asking the program's grammars about texts."""

import json, os, subprocess, sys, tempfile


def ask(asked):
    """Of a list of {kind, text, texts}: for each which texts are whole answers, or what refused it."""
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = folder + "/asked", folder + "/said"
        with open(questions, "w") as f:
            json.dump(asked, f)
        run = subprocess.run([os.environ["BUILD"] + "/test/grammar", "-j1", "--filter=grammar_witness/*"],
                             env=dict(os.environ, WITNESS_ASKED=questions, WITNESS_SAID=answers),
                             capture_output=True, timeout=600)
        if run.returncode != 0:
            sys.exit((run.stdout + run.stderr).decode())
        with open(answers) as f:
            return json.load(f)
