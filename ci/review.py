"""Reviews a change to the policy in a pull request of GitHub or a merge request of GitLab.

Usage: `python3 -I review.py github` or `python3 -I review.py gitlab`; `action.yml` and `templates/preview/template.yml` run it.
It runs `backup-compliance preview`, writes its reports, and keeps one comment with the result. All input is read from the
environment, so that no name of a branch or file passes through a shell. It needs the standard library of Python 3.9 only.

The exit status is that of `preview`: 0, 1 if the change is blocked, 2 if it could not be evaluated. A comment that cannot be written
is a warning and changes no status.
"""

import hashlib
import http.client
import json
import os
import pathlib
import platform
import re
import secrets
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request

# The limit of GitHub for a comment. That of GitLab is higher.
LONGEST_COMMENT = 65_536
# The limit of GitHub for the summary of a step.
LONGEST_SUMMARY = 1_000_000
# GitHub shows this number of annotations of a level for a step.
MOST_ANNOTATIONS = 10
LARGEST_ARCHIVE = 256 * 1024 * 1024
PER_PAGE = 100
MOST_PAGES = 50
SECONDS = 30
FILES = {"json": "preview.json", "markdown": "preview.md", "sarif": "preview.sarif", "codequality": "codequality.json"}


class Failure(Exception):
    """The change cannot be evaluated; the text is the reason."""


class Refusal(Exception):
    """The API of the host did not accept a request; `status` is 0 without an answer."""

    def __init__(self, status, reason):
        super().__init__(f"status {status}: {reason}" if status else reason)
        self.status = status


def setting(name):
    """An input of the action or the component; empty if it is not given."""
    return os.environ.get(f"BACKUP_COMPLIANCE_{name}", "").strip()


def variable(name):
    """A variable that the host sets in each job."""
    if name not in os.environ:
        raise Failure(f"the variable `{name}` is not set: the script runs in jobs of GitHub Actions and GitLab CI")
    return os.environ[name]


def is_on(name):
    value = setting(name).lower() or "false"
    if value not in ("true", "false"):
        raise Failure(f"`{name.lower()}` is `{value}`: give `true` or `false`")
    return value == "true"


def visible(text):
    """Replaces control characters except line breaks and tabs: a log is shown in a terminal or a browser."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text.replace("\r\n", "\n"))


def size(text):
    """The number of UTF-16 units, which is at least the number of characters."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fitting(text, limit, elsewhere):
    """Removes lines at the end until the text has at most `limit` characters, and counts them."""
    if size(text) <= limit:
        return text
    lines = text.splitlines()
    room = limit - 200
    kept = []
    for line in lines:
        room -= size(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*kept, "", f"{len(lines) - len(kept)} more lines are left out; {elsewhere}."])


def fenced(text):
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


# --- the program


def target():
    """The target triple of the release archive for this machine."""
    machine = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}.get(platform.machine().lower())
    system = {"Linux": "unknown-linux-gnu", "Darwin": "apple-darwin", "Windows": "pc-windows-gnu"}.get(platform.system())
    if not machine or not system:
        raise Failure(f"no release exists for {platform.system()} {platform.machine()}: give `program`")
    return f"{machine}-{system}"


def expected_hash(archive):
    """The pinned hash: one SHA-256, or the line of the archive in the form of `SHA256SUMS`."""
    rows = [row.split() for row in setting("SHA256").splitlines() if row.strip()]
    of_archive = [row[0] for row in rows if len(row) == 2 and row[1].lstrip("*") == archive]
    found = of_archive or [row[0] for row in rows if len(rows) == 1 and len(row) == 1]
    if len(found) != 1 or not re.fullmatch("[0-9a-fA-F]{64}", found[0]):
        raise Failure(f"`sha256` has no hash for `{archive}`: give the line of the archive in `SHA256SUMS` of the release")
    return found[0].lower()


def download(url, file):
    """Downloads an archive; returns its SHA-256."""
    if urllib.parse.urlsplit(url).scheme not in ("https", "http"):
        raise Failure(f"`{url}` is not a URL of https (`url`)")
    digest, length = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            while part := answer.read(1 << 16):
                length += len(part)
                if length > LARGEST_ARCHIVE:
                    raise Failure(f"`{url}` has more than {LARGEST_ARCHIVE} bytes")
                digest.update(part)
                file.write(part)
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"cannot download `{url}`: {error}") from error
    file.flush()
    return digest.hexdigest()


def install(folder):
    """Returns the program: the given one, or that of a release whose archive has the pinned hash."""
    if given := setting("PROGRAM"):
        if not os.access(given, os.X_OK):
            raise Failure(f"`{given}` is not an executable file (`program`)")
        return os.path.abspath(given)
    version = setting("VERSION").removeprefix("v")
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*", version):
        raise Failure(f"`version` is `{version}`: give the version of a release, such as `0.1.0`, and its `sha256`")
    name = f"backup-compliance-{version}-{target()}"
    archive = f"{name}.tar.gz"
    expected = expected_hash(archive)
    with tempfile.TemporaryFile() as file:
        url = f"{setting('URL').rstrip('/')}/v{version}/{archive}"
        actual = download(url, file)
        if actual != expected:
            raise Failure(f"`{url}` has the SHA-256 {actual}, but `sha256` pins {expected}: the program is not started")
        file.seek(0)
        binary = "backup-compliance.exe" if platform.system() == "Windows" else "backup-compliance"
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                content = tar.extractfile(f"{name}/{binary}").read()
        except (tarfile.TarError, KeyError, AttributeError, EOFError) as error:
            raise Failure(f"`{url}` has no `{name}/{binary}`: {error}") from error
    program = folder / binary
    program.write_bytes(content)
    program.chmod(0o755)
    return str(program)


# --- the two states


def run(command):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, **pipes, encoding="utf-8", errors="replace", check=False)


def git(*arguments):
    ran = run(["git", *arguments])
    return ran.stdout.strip() if ran.returncode == 0 else None


def base_of_request(base, head):
    """The commit to compare HEAD with: its first parent if the host merged `head` into the base, else the merge base."""
    commits = (git("rev-list", "--parents", "--max-count=1", "HEAD") or "").split()
    if len(commits) == 3 and head and commits[2] == head:
        return commits[1]
    if not re.fullmatch("[0-9a-f]{40,64}", base or ""):
        raise Failure("the event has no commit to compare with: give `before`")
    found = git("merge-base", base, "HEAD")
    if not found:
        raise Failure(f"the clone has no common commit of {base} and HEAD: fetch the whole history")
    return found


def preview(program, before, form):
    command = [program, "preview", f"--before={before}", "--after=HEAD", f"--policy={setting('POLICY') or '.'}", f"--format={form}"]
    command += [f"--root={setting('ROOT')}"] if setting("ROOT") else []
    command += [f"--inventory={path.strip()}" for path in setting("INVENTORY").splitlines() if path.strip()]
    command += ["--strict"] if is_on("STRICT") else []
    try:
        return run(command)
    except OSError as error:
        raise Failure(f"cannot start `{program}`: {error}") from error


def evaluate(program, before, forms, log):
    """Runs `preview` once for each format; returns its status, the verdict and the reports."""
    reports, status = {}, 0
    for form in forms:
        ran = preview(program, before, form)
        if ran.stderr.strip() and form == "json":
            log(ran.stderr)
        if ran.returncode not in (0, 1):
            raise Failure(ran.stderr.strip()[:20_000] or f"`preview` ended with status {ran.returncode}")
        status = max(status, ran.returncode)
        reports[form] = ran.stdout
    try:
        verdict = json.loads(reports["json"])["verdict"]
    except (ValueError, LookupError, TypeError) as error:
        raise Failure("the output of `preview --format json` has no verdict") from error
    if verdict not in ("ok", "attention", "blocked"):
        raise Failure("the output of `preview --format json` has an unknown verdict: update the action or the component")
    return status, verdict, reports


# --- the comment


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """An API that redirects is an error: the token must not reach another host."""

    def redirect_request(self, *_):
        return None


def call(method, url, headers, body=None):
    """Calls an API; returns the parsed answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "backup-compliance", **headers}
    try:
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.build_opener(NoRedirects).open(request, timeout=SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refusal(error.code, reason_of(error)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Refusal(0, f"no valid answer of {urllib.parse.urlsplit(url).netloc}: {error}") from error


def reason_of(error):
    text = error.read(4096).decode("utf-8", "replace")
    try:
        answer = json.loads(text)
        text = answer.get("message") or answer.get("error") or error.reason
    except (ValueError, AttributeError):
        text = error.reason
    return visible(text if isinstance(text, str) else json.dumps(text))[:300]


def write_comment(comments, text):
    """Edits the own comment about this policy, or posts the first; returns what was done."""
    policy = os.path.normpath(setting("POLICY") or ".")
    # A hash, because a path could end the HTML comment.
    marker = f"<!-- backup-compliance:preview {hashlib.sha256(policy.encode()).hexdigest()[:16]} -->"
    body = fitting(f"{marker}\n{text}", LONGEST_COMMENT, comments.elsewhere)
    is_own = comments.own()
    for page in range(1, MOST_PAGES + 1):
        answer = comments.page(page)
        for comment in answer:
            # Only an own one: the author of another could change the verdict afterwards.
            if not (comment.get("body") or "").startswith(marker) or not is_own(comment):
                continue
            if comment["body"] == body:
                return "unchanged"
            comments.edit(comment["id"], body)
            return "edited"
        if len(answer) < PER_PAGE:
            break
    comments.post(body)
    return "posted"


class GitHubComments:
    elsewhere = "the summary of the job has them"

    def __init__(self, repository, number):
        self.api = variable("GITHUB_API_URL")
        self.repository = f"{self.api}/repos/{repository}"
        self.issue = f"{self.repository}/issues/{number}/comments"
        self.headers = {"Authorization": f"Bearer {setting('TOKEN')}", "X-GitHub-Api-Version": "2022-11-28"}

    def own(self):
        try:
            login = call("GET", f"{self.api}/user", self.headers)["login"]
            return lambda comment: (comment.get("user") or {}).get("login") == login
        except Refusal as refusal:
            # The token of a workflow belongs to an app and not to a user.
            if refusal.status not in (403, 404):
                raise
            return lambda comment: (comment.get("user") or {}).get("type") == "Bot"

    def page(self, number):
        return call("GET", f"{self.issue}?per_page={PER_PAGE}&page={number}", self.headers)

    def edit(self, comment, body):
        call("PATCH", f"{self.repository}/issues/comments/{int(comment)}", self.headers, {"body": body})

    def post(self, body):
        call("POST", self.issue, self.headers, {"body": body})


class GitLabComments:
    elsewhere = "the artifact `preview.md` of the job has them"

    def __init__(self, project, number):
        self.api = variable("CI_API_V4_URL")
        self.notes = f"{self.api}/projects/{int(project)}/merge_requests/{int(number)}/notes"
        self.headers = {"PRIVATE-TOKEN": setting("TOKEN")}

    def own(self):
        user = call("GET", f"{self.api}/user", self.headers)["id"]
        return lambda note: (note.get("author") or {}).get("id") == user

    def page(self, number):
        return call("GET", f"{self.notes}?per_page={PER_PAGE}&page={number}&sort=asc&order_by=created_at", self.headers)

    def edit(self, note, body):
        call("PUT", f"{self.notes}/{int(note)}", self.headers, {"body": body})

    def post(self, body):
        call("POST", self.notes, self.headers, {"body": body})


# --- the hosts


def data(text):
    """Escapes the message of a workflow command of GitHub."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def annotation(level, message, **properties):
    escaped = {key: data(str(value)).replace(":", "%3A").replace(",", "%2C") for key, value in properties.items() if value is not None}
    listed = ",".join(f"{key}={value}" for key, value in escaped.items())
    print(f"::{level} {listed}::{data(message)}" if listed else f"::{level}::{data(message)}")


def annotate(sarif):
    """Writes the results of a SARIF log as annotations, the worst first; counts those that GitHub would not show."""
    results = json.loads(sarif)["runs"][0]["results"]
    for sarif_level, level in [("error", "error"), ("warning", "warning"), ("note", "notice")]:
        of_level = [result for result in results if result["level"] == sarif_level]
        for result in of_level[:MOST_ANNOTATIONS]:
            location = result["locations"][0]["physicalLocation"]
            region = location["region"]
            annotation(
                level,
                result["message"]["text"],
                file=urllib.parse.unquote(location["artifactLocation"]["uri"]),
                line=region.get("startLine"),
                col=region.get("startColumn"),
                title=result["ruleId"],
            )
        if (more := len(of_level) - MOST_ANNOTATIONS) > 0:
            print(f"{more} more annotations of the level {level} are left out")


class GitHub:
    forms = ["json", "markdown", "sarif"]
    request = "pull request"
    permission = "grant the job `pull-requests: write`"

    def __init__(self):
        self.output = pathlib.Path(variable("RUNNER_TEMP"), "backup-compliance")
        with open(variable("GITHUB_EVENT_PATH"), encoding="utf-8") as file:
            self.event = json.load(file)
        self.pull = self.event.get("pull_request")
        self.number = self.pull and int(self.pull["number"])
        names = [((self.pull or {}).get(side, {}).get("repo") or {}).get("full_name") for side in ("base", "head")]
        self.is_fork = names[0] != names[1]

    def before(self):
        if self.pull:
            return base_of_request(self.pull["base"]["sha"], self.pull["head"]["sha"])
        return base_of_request((self.event.get("before") or "").replace("0" * 40, ""), None)

    def comments(self):
        return GitHubComments(variable("GITHUB_REPOSITORY"), self.number)

    def log(self, text):
        # A line of the text could be a workflow command.
        token = secrets.token_hex(16)
        print(f"::stop-commands::{token}\n{visible(text)}\n::{token}::")

    def notice(self, text):
        annotation("notice", text)

    def warning(self, text):
        annotation("warning", text)

    def error(self, text):
        annotation("error", text)

    def publish(self, markdown, verdict, reports):
        with open(variable("GITHUB_STEP_SUMMARY"), "a", encoding="utf-8") as file:
            file.write(fitting(markdown, LONGEST_SUMMARY, "the log has them") + "\n")
        with open(variable("GITHUB_OUTPUT"), "a", encoding="utf-8") as file:
            file.write(f"verdict={verdict}\n")
            for form in reports:
                file.write(f"{form}={self.output / FILES[form]}\n")
        if "sarif" in reports:
            annotate(reports["sarif"])


class GitLab:
    forms = ["json", "markdown", "codequality"]
    request = "merge request"
    permission = "the token needs the scope `api` and the role Reporter"

    def __init__(self):
        self.output = pathlib.Path(variable("CI_PROJECT_DIR"), "backup-compliance")
        self.number = os.environ.get("CI_MERGE_REQUEST_IID")
        self.project = os.environ.get("CI_MERGE_REQUEST_PROJECT_ID")
        self.is_fork = self.project != os.environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")

    def before(self):
        if self.number:
            head = os.environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
            return base_of_request(os.environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"), head)
        return base_of_request(os.environ.get("CI_COMMIT_BEFORE_SHA", "").replace("0" * 40, ""), None)

    def comments(self):
        return GitLabComments(self.project, self.number)

    def log(self, text):
        print(visible(text))

    notice = warning = error = log

    def publish(self, markdown, verdict, reports):
        print(visible(markdown))


def comment(host, text):
    """Keeps the comment; a failure is a warning, because the verdict is known."""
    if not host.number:
        print(f"this is not a {host.request}: no comment is written")
        return
    no_comment = f"no comment is written: the job of a {host.request} from a fork has no token that may comment"
    token = setting("TOKEN")
    if not token:
        host.notice(no_comment if host.is_fork else f"no comment is written: there is no token; {host.permission}")
        return
    if not re.fullmatch("[!-~]+", token):
        # The error of a request with it would show it.
        host.warning("the comment was not written: the token contains white space or control characters")
        return
    try:
        print(f"comment {write_comment(host.comments(), text)}")
    except Refusal as refusal:
        is_denied = refusal.status in (401, 403, 404)
        if host.is_fork and is_denied:
            host.notice(no_comment)
        else:
            advice = host.permission if is_denied else "the next run writes it"
            host.warning(f"the comment was not written: {refusal}; {advice}")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        host.warning(f"the comment was not written: unexpected answer of the API ({type(error).__name__}: {error})")


def review(host):
    """Evaluates the change, publishes the reports and the comment; returns the exit status."""
    host.output.mkdir(parents=True, exist_ok=True)
    for file in FILES.values():
        (host.output / file).unlink(missing_ok=True)
    wants_comment = is_on("COMMENT")
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = install(pathlib.Path(folder))
            status, verdict, reports = evaluate(program, setting("BEFORE") or host.before(), host.forms, host.log)
            markdown = reports["markdown"]
        except Failure as failure:
            status, verdict, reports = 2, "unknown", {}
            # A comment of an earlier run would show a verdict that is not that of this change.
            markdown = f"**Backup Compliance: the change was not evaluated**\n\n{fenced(visible(str(failure)))}"
            host.error(str(failure))
    for form, report in reports.items():
        (host.output / FILES[form]).write_text(report, encoding="utf-8")
    host.publish(markdown, verdict, reports)
    if wants_comment:
        comment(host, markdown)
    print(f"verdict: {verdict}")
    return status


def main(arguments):
    hosts = {"github": GitHub, "gitlab": GitLab}
    if len(arguments) != 1 or arguments[0] not in hosts:
        print("usage: review.py github|gitlab", file=sys.stderr)
        return 2
    try:
        return review(hosts[arguments[0]]())
    except Failure as failure:
        print(f"error: {data(str(failure))}", file=sys.stderr)
    except Exception as error:  # pylint: disable=broad-except
        # Python would end with status 1, which means that the change is blocked.
        print(f"error: {type(error).__name__}: {data(str(error))}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.exit(main(sys.argv[1:]))
