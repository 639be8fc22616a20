# shellcheck shell=bash
# Makes a Debian or Ubuntu machine ready to build and run Steadfast. Sourced by `run` and `test`.
#
# `setup` installs only what is missing, says what it does on standard error, and is silent where
# nothing is to be done. `setup_for_tests` also installs the clients that judge the simulator, and the
# Python programs and npm packages that the tests ask.
# It needs bash and what every Debian has (coreutils, grep, sed, util-linux).
# The caller sets `root`, the folder of the checkout.
: "${root:?the caller sets root}"

# Where the gateway looks for a browser: each name in each folder of PATH and in these, in this order
# (crates/cdp/src/binary.rs; a test compares the lists).
browser_names=(chromium chromium-browser google-chrome-stable google-chrome chrome)
browser_folders=(/usr/bin /usr/local/bin /usr/lib/chromium /opt/google/chrome /snap/bin)

# A toolchain is the owner's choice: rustup must not fetch one because we called cargo.
export RUSTUP_AUTO_INSTALL=0

ca_bundle=/etc/ssl/certs/ca-certificates.crt

say() { printf 'steadfast: %s\n' "$*" >&2; }

fail() {
  say "$1"
  shift
  local line
  for line in "$@"; do printf '    %s\n' "$line" >&2; done
  exit 1
}

with_test_tools=

setup_for_tests() {
  with_test_tools=1
  setup
}

setup() {
  prepare_environment
  mkdir -p "$root/target/setup" || fail "cannot write to $root/target: check who owns this folder"
  # One set-up at a time. The subshell closes the lock's descriptor, so that nothing started later inherits it.
  (
    flock 9
    cd "$root" || exit 1
    setup_rust
    setup_packages
    setup_page_library
    [ -z "$with_test_tools" ] || setup_peers
    [ -z "$with_test_tools" ] || setup_test_tools
  ) 9>"$root/target/setup/lock" || exit 1
}

prepare_environment() {
  # One target folder, whatever the caller's shell says: README and tests name target/release/steadfast.
  export CARGO_TARGET_DIR="$root/target"
  # rustup's folder is missing from PATH in shells that were open when it was installed.
  local cargo_bin="${CARGO_HOME:-${HOME:-}/.cargo}/bin"
  if ! command -v cargo >/dev/null && [ -x "$cargo_bin/cargo" ]; then export PATH="$cargo_bin:$PATH"; fi
}

# ---------------------------------------------------------------- Rust

setup_rust() {
  local want have
  want=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  have=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p' || true)
  if [ -n "$have" ] && cargo --version >/dev/null 2>&1 && version_at_least "$want" "$have"; then
    return 0
  fi
  if command -v rustup >/dev/null; then
    fail "Rust $want or newer is needed; rustup's active toolchain is ${have:-missing}. Run, then start again:" \
      "rustup update stable && rustup default stable"
  fi
  fail "Rust $want or newer (cargo and rustc) is needed; found ${have:-none}. Install it, then start again:" \
    "apt-get install rustup && rustup default stable     (Debian 13, Ubuntu 24.04 and newer; as root or with sudo)" \
    "or the installer from https://rustup.rs             (any other system)"
}

# version_at_least WANT HAVE
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# ---------------------------------------------------------------- Debian packages

setup_packages() {
  local packages=() browser_missing=
  can_compile || packages+=(gcc libc6-dev)
  [ -e "$ca_bundle" ] || packages+=(ca-certificates)
  if needs_npm && ! command -v npm >/dev/null; then
    packages+=(npm)
  elif [ -n "$with_test_tools" ] && ! command -v node >/dev/null; then
    packages+=(nodejs)
  fi
  if [ -z "$(find_browser)" ]; then
    browser_missing=1
    # Its sandbox is a package of its own, needed where user namespaces are not for everyone.
    packages+=(chromium chromium-sandbox)
  fi
  if [ -n "$with_test_tools" ] && ! test_tools_are_current && [ -z "$(find_python)" ]; then
    packages+=(python3-venv)
  fi
  # A screen that nobody looks at, for the test that links in a window.
  if [ -n "$with_test_tools" ] && ! command -v Xvfb >/dev/null; then packages+=(xvfb); fi
  [ ${#packages[@]} -gt 0 ] || return 0

  need_apt_and_root "${packages[@]}"
  say "installing ${packages[*]} with apt-get (log: target/setup/apt.log)"
  : >target/setup/apt.log
  logged as_root apt-get "${apt_options[@]}" update ||
    say "apt-get update reported errors; going on with the package lists that are there"
  [ -z "$browser_missing" ] || chromium_is_a_real_package || fail_no_browser_package
  apt_install "${packages[@]}"
  [ -z "$browser_missing" ] || [ -n "$(find_browser)" ] || fail_no_browser_package
}

apt_options=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)

apt_install() {
  local install=(as_root env DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" -y)
  logged "${install[@]}" install --no-install-recommends "$@" && return 0
  # An interrupted dpkg leaves packages half configured, and every later install then fails.
  say "apt-get could not install them; mending half-installed packages, then trying once more"
  logged as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a || true
  logged "${install[@]}" --fix-broken install || true
  logged "${install[@]}" install --no-install-recommends "$@" && return 0
  tail -n 20 target/setup/apt.log >&2
  fail "apt-get could not install $* (its last words stand above). Install by hand, then start again:" \
    "apt-get install --no-install-recommends $*"
}

logged() { "$@" >>target/setup/apt.log 2>&1 </dev/null; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

need_apt_and_root() {
  command -v apt-get >/dev/null ||
    fail "this machine lacks $* and has no apt-get. Install what these Debian packages hold, then start again:" "$*"
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null ||
    fail "$* must be installed, and this user is neither root nor has sudo. Have an administrator run, then start again:" \
      "apt-get update && apt-get install --no-install-recommends $*"
  sudo -v 2>/dev/null || sudo -n true 2>/dev/null ||
    fail "$* must be installed, and sudo refuses this user. Have an administrator run, then start again:" \
      "apt-get update && apt-get install --no-install-recommends $*"
}

needs_npm() { ! page_library_is_current || { [ -n "$with_test_tools" ] && ! peers_are_current; }; }

can_compile() {
  command -v cc >/dev/null &&
    cc -x c -o /dev/null - >/dev/null 2>&1 <<<$'#include <stdio.h>\nint main(void) { return puts("") < 0; }'
}

# ---------------------------------------------------------------- browser

# Prints the browser that the gateway would take, or nothing.
find_browser() {
  local name folder folders path
  if [ -n "${STEADFAST_BROWSER__PATH:-}" ]; then
    printf '%s\n' "$STEADFAST_BROWSER__PATH"
    return 0
  fi
  IFS=: read -r -a folders <<<"$PATH"
  for name in "${browser_names[@]}"; do
    for folder in "${folders[@]}" "${browser_folders[@]}"; do
      path=$folder/$name
      if [ -f "$path" ] && [ -x "$path" ] && ! is_empty_snap_stub "$path"; then
        printf '%s\n' "$path"
        return 0
      fi
    done
  done
}

# Ubuntu's chromium-browser is a script that asks for the snap, whether or not the snap is there.
is_empty_snap_stub() {
  [ "$(head -c 2 "$1")" = '#!' ] && grep -q '/snap/bin/chromium' "$1" && [ ! -x /snap/bin/chromium ]
}

chromium_is_a_real_package() {
  local candidate
  candidate=$(apt-cache policy chromium 2>/dev/null | sed -n 's/^ *Candidate: //p')
  case "$candidate" in '' | '(none)' | *snap* | *ubuntu*) return 1 ;; esac
}

fail_no_browser_package() {
  fail "no browser was found, and this system's package archive has no Chromium (Ubuntu offers it only as a snap)." \
    "Install one of these, then start again:" \
    "  Google Chrome's .deb, from google.com/chrome: apt-get install ./google-chrome-stable_current_amd64.deb" \
    "  the snap: snap install chromium  (confined: the data folder must then lie in your home, outside hidden folders)" \
    "  any other Chromium, named by STEADFAST_BROWSER__PATH=/path/to/chromium or by browser.path in the configuration"
}

# ---------------------------------------------------------------- in-page library

page_library_stamp=node_modules/.steadfast-lock

# The stamp is the lists' hash, with a word behind it where the tests' packages are there too.
page_library_is_current() {
  [ -f "$page_library_stamp" ] || return 1
  case "$(cat "$page_library_stamp")" in
  "$(page_library_hash) tests") return 0 ;;
  "$(page_library_hash)") [ -z "$with_test_tools" ] ;;
  *) return 1 ;;
  esac
}

page_library_hash() { cat package.json package-lock.json | sha256sum | cut -d ' ' -f 1; }

setup_page_library() {
  page_library_is_current && return 0
  say "installing the pinned in-page library with npm (log: target/setup/npm.log)"
  local omit=(--omit=dev)
  [ -z "$with_test_tools" ] || omit=()
  if ! npm ci "${omit[@]}" --ignore-scripts --no-audit --no-fund >target/setup/npm.log 2>&1 </dev/null; then
    tail -n 20 target/setup/npm.log >&2
    fail "npm ci failed (its last words stand above). It needs the network, and a package registry that npm is set up for."
  fi
  printf '%s%s\n' "$(page_library_hash)" "${with_test_tools:+ tests}" >"$page_library_stamp"
}

# ---------------------------------------------------------------- the clients that judge the simulator

peers_stamp=peers/node_modules/.steadfast-lock

peers_are_current() {
  [ -f "$peers_stamp" ] && [ "$(cat "$peers_stamp")" = "$(peers_hash)" ]
}

peers_hash() { cat peers/package.json peers/package-lock.json | sha256sum | cut -d ' ' -f 1; }

# No script of a package runs, and none brings a browser: the machine's own is used.
setup_peers() {
  peers_are_current && return 0
  say "installing the clients that judge the simulator with npm (log: target/setup/npm-peers.log)"
  if ! (cd peers && PUPPETEER_SKIP_DOWNLOAD=1 npm ci --ignore-scripts --no-audit --no-fund) \
    >target/setup/npm-peers.log 2>&1 </dev/null; then
    tail -n 20 target/setup/npm-peers.log >&2
    fail "npm ci failed in peers/ (its last words stand above). It needs the network, and a package registry that npm is set up for."
  fi
  peers_hash >"$peers_stamp"
}

# ---------------------------------------------------------------- the tests' Python programs

# Each list of tests/tools has an environment of its own in here, where tests look for it
# (crates/gateway/tests/it/python.rs).
test_tools=target/setup/python
test_tool_lists=(checks waha waha-py)

# A Python of the owner's own may lack what makes environments; Debian's then has it.
pythons=(python3 /usr/bin/python3)

test_tools_are_current() {
  local name
  for name in "${test_tool_lists[@]}"; do
    test_tool_is_current "$name" || return 1
  done
}

test_tool_is_current() {
  local stamp=$test_tools/$1/.steadfast-list
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(test_tool_hash "$1")" ] &&
    # It leans on the Python that made it, which may be gone since.
    "$test_tools/$1/bin/python" -c '' 2>/dev/null
}

test_tool_hash() { sha256sum <"tests/tools/$1.txt" | cut -d ' ' -f 1; }

# Prints the first Python that is new enough and can make an environment, or nothing.
find_python() {
  local python
  for python in "${pythons[@]}"; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$python"
      return 0
    fi
  done
}

setup_test_tools() {
  test_tools_are_current && return 0
  local python name
  python=$(find_python)
  [ -n "$python" ] ||
    fail "the tests need Python 3.11 or newer that can make virtual environments; this system's python3-venv is older." \
      "Put a newer python3 on PATH, then start again. (./run needs no Python.)"
  say "installing the pinned Python programs that the tests ask, with pip (log: target/setup/pip.log)"
  : >target/setup/pip.log
  for name in "${test_tool_lists[@]}"; do
    test_tool_is_current "$name" || setup_test_tool "$python" "$name"
  done
}

setup_test_tool() {
  local folder=$test_tools/$2
  # Begun afresh: half of an installation is worth nothing.
  rm -rf "$folder"
  if ! { "$1" -m venv "$folder" &&
    "$folder/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --only-binary :all: \
      --require-hashes -r "tests/tools/$2.txt"; } >>target/setup/pip.log 2>&1 </dev/null; then
    tail -n 20 target/setup/pip.log >&2
    fail "pip could not install them (its last words stand above). It needs the network, and a package index that pip is set up for."
  fi
  test_tool_hash "$2" >"$folder/.steadfast-list"
}
