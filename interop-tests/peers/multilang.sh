# Sourced by `run`: Storm's own adapters for Python, Ruby and JavaScript, out of its public artefacts, into
# .env/multilang; and Ruby. Nothing of them goes into Stormwire.

readonly ADAPTERS_VERSION=2.8.3
readonly FETCH=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get

multilang_adapters() {
    local dir=$env_dir/multilang log language
    command -v ruby >/dev/null || apt_install ruby || true
    have "ruby" "ruby --version" "apt-get install ruby"
    if [ "$(cat "$dir/version" 2>/dev/null)" != $ADAPTERS_VERSION ]; then
        echo "multilang  fetching Storm's adapters $ADAPTERS_VERSION into interop-tests/.env"
        log=$(log_of multilang)
        rm -rf "$dir" && mkdir -p "$dir"
        for language in python ruby javascript; do
            if ! fetch_adapter $language "$dir" >>"$log" 2>&1; then
                missing+=("Storm's adapter for $language cannot be fetched, see $log: Maven needs its \
repository once")
                return
            fi
        done
        echo $ADAPTERS_VERSION >"$dir/version"
    fi
    echo "multilang  Storm's adapters $ADAPTERS_VERSION"
}

fetch_adapter() { # language, directory
    local name=multilang-$1
    local jar=$env_dir/maven/org/apache/storm/$name/$ADAPTERS_VERSION/$name-$ADAPTERS_VERSION.jar
    [ -f "$jar" ] || patiently mvn --batch-mode --quiet "-Dmaven.repo.local=$env_dir/maven" $FETCH \
        "-Dartifact=org.apache.storm:$name:$ADAPTERS_VERSION" -Dtransitive=false || return
    python3 -m zipfile -e "$jar" "$2/$1" && cp "$2/$1"/resources/storm.* "$2/"
}
