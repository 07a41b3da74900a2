# node-storm 0.0.1, a client of Storm 0.9.2 for Node.js as npm has it, for test_node_storm.py. Sourced by `run`.
#
# It packs the folder of its topology with all of node_modules, so it has a folder of its own.

node_storm() {
    local dir=$env_dir/node-storm log
    [ ! -f "$dir/stamp" ] || return 0
    echo "node-storm installing into interop-tests/.env"
    log=$(log_of node-storm)
    mkdir -p "$dir" && echo '{"private": true}' >"$dir/package.json"
    if patiently npm install --ignore-scripts --no-audit --no-fund --prefix "$dir" node-storm@0.0.1 >"$log" 2>&1; then
        touch "$dir/stamp"
    else
        missing+=("npm cannot install node-storm@0.0.1, see $log: it needs its registry once")
    fi
}
