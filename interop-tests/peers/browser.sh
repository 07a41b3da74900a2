# A browser without a screen, for test_browser.py. Sourced by `run`.
#
# Debian's build for headless use is some 20 packages and took half a minute to install, where the whole
# browser is 125; any Chromium that is there will do.

browser() {
    browser_here >/dev/null || apt_install chromium-headless-shell fonts-dejavu-core || true
    have "browser" "$(browser_here) --version" "apt-get install chromium-headless-shell"
}

browser_here() { # as browser.py looks for it
    local name
    for name in chromium-headless-shell chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}
