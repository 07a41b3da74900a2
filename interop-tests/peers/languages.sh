# The programs of clients/, each with what the stock compiler makes of thrift/storm.thrift for its language
# and with that language's Thrift library. Sourced by `run`, which has the functions that are not here.
#
# Everything built is below .env/clients/LANGUAGE; `stamp` there says of what, and `versions` with what. The
# network is asked once, by apt-get, npm, Maven and Go, each of its own registry.

readonly languages=(python java go cpp javascript ruby php perl)
readonly clients_dir=$env_dir/clients
# What the compiler is asked for.
declare -rA generators=([python]=py [java]=java:generated_annotations=suppress [go]=go
    [cpp]=cpp:no_skeleton [javascript]=js:node [ruby]=rb [php]=php [perl]=perl)

language_clients() {
    local language
    thrift_version=$(thrift --version | sed 's/[^0-9.]//g')
    libraries_of_languages
    end_if_missing
    for language in "${languages[@]}"; do
        language_client "$language" >"$(log_of "client-$language")" 2>&1 || missing+=("the client \
for $language cannot be built, see $(log_of "client-$language"): $(remedy_of "$language")")
        [ ! -f "$clients_dir/$language/versions" ] ||
            printf '%-10s client with %s\n' "$language" "$(cat "$clients_dir/$language/versions")"
    done
}

# ---- Languages and their libraries ---------------------------------------------------------------

# Those that come with packages of the system.
libraries_of_languages() {
    local wanted=() language
    for language in go cpp ruby php perl; do
        "has_$language" || wanted+=($(packages_of "$language"))
    done
    [ ${#wanted[@]} -eq 0 ] || apt_install "${wanted[@]}" || true
    for language in go cpp ruby php perl; do
        "has_$language" || missing+=("$language or its Thrift library is missing: $(remedy_of "$language")")
    done
}

has_go() { command -v go >/dev/null; }
has_cpp() {
    printf '#include <thrift/transport/TSocket.h>\n' | g++ -x c++ -fsyntax-only - 2>/dev/null
}
has_ruby() { ruby -rthrift -e '' 2>/dev/null; }
has_php() { [ -n "$(php_library 2>/dev/null)" ]; }
has_perl() { perl -MThrift::BinaryProtocol -MClass::Accessor -e '' 2>/dev/null; }

# Where php has its library: Debian's folder of it is not called Thrift.
php_library() {
    php -d include_path=/usr/lib/php:/usr/share/php -r '
        foreach (["Thrift/Base/TBase.php", "Base/TBase.php"] as $file) {
            if ($found = stream_resolve_include_path($file)) {
                echo substr($found, 0, -strlen($file));
                break;
            }
        }'
}

packages_of() {
    case $1 in
        go) echo golang-go ;;
        cpp) echo g++ libthrift-dev libboost-dev ;;
        ruby) echo ruby ruby-thrift ;;
        php) echo php-cli php-thrift ;;
        perl) echo perl libthrift-perl libbit-vector-perl libclass-accessor-perl ;;
    esac
}

remedy_of() {
    case $1 in
        java) echo "Maven needs its repository once" ;;
        go) echo "apt-get install golang-go; it needs its module proxy once" ;;
        python | javascript) echo "run once with the registry in reach" ;;
        *) echo "apt-get install $(packages_of "$1")" ;;
    esac
}

# ---- Building ------------------------------------------------------------------------------------

# Generates and builds one, unless nothing of it has changed.
language_client() {
    local language=$1 dir=$clients_dir/$1 source=$root/interop-tests/clients/$1 wanted
    wanted=$("version_$language" && find "$source" thrift/storm.thrift -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum)
    if [ "$(cat "$dir/stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    rm -rf "$dir" && mkdir -p "$dir/gen" || return
    cp thrift/storm.thrift "$dir/"
    # The compiler refuses lists as keys of maps for Go, and no client reads the fields that have them.
    [ "$language" != go ] || sed -i '/map<list<i64>/d' "$dir/storm.thrift"
    thrift --gen "${generators[$language]}" -out "$dir/gen" "$dir/storm.thrift" || return
    if declare -F "build_$language" >/dev/null; then
        (cd "$dir" && "build_$language" "$source") || return
    fi
    "version_$language" >"$dir/versions" && printf '%s\n' "$wanted" >"$dir/stamp"
}

build_java() {
    cp "$1"/* . || return
    local -a build=(mvn --batch-mode --quiet "-Dmaven.repo.local=$env_dir/maven"
        "-Dlibthrift.version=$thrift_version" process-classes)
    "${build[@]}" --offline || patiently "${build[@]}" -U
}

build_go() {
    export GOTOOLCHAIN=local GOFLAGS=-mod=mod
    cp "$1"/* . && mv gen/storm . && rm -rf storm/*-remote && go mod init client &&
        patiently go get "github.com/apache/thrift@v$thrift_version" && go build -o client .
}

build_cpp() {
    printf '%s\n' "$1/client" gen/storm_types gen/Nimbus gen/DistributedRPC |
        xargs -P 2 -I{} sh -c 'g++ -std=c++17 -O0 -Igen -c "{}.cpp" -o "$(basename "{}").o"' &&
        g++ ./*.o -lthrift -o client
}

# What each runs with.
version_python() {
    "$python" -c 'import platform, importlib.metadata as packages
print("Python " + platform.python_version() + ", thrift " + packages.version("thrift"))'
}
version_java() { echo "Java $(javac -version | sed 's/[^0-9.]//g'), libthrift $thrift_version"; }
version_go() { echo "Go $(go env GOVERSION | sed 's/go//'), thrift $thrift_version"; }
version_cpp() { echo "g++ $(g++ -dumpfullversion), libthrift $(header_version)"; }
header_version() {
    printf '#include <thrift/config.h>\nPACKAGE_VERSION\n' | g++ -x c++ -E - | tail -1 | tr -d '"'
}
version_javascript() {
    local library=$env_dir/node/node_modules/thrift/package.json
    echo "Node.js $(node --version | tr -d v), thrift $(node -p "require('$library').version")"
}
version_ruby() {
    ruby -rthrift -e 'puts "Ruby #{RUBY_VERSION}, thrift #{Gem.loaded_specs["thrift"].version}"'
}
version_php() {
    local library
    library=$(dpkg-query -W -f '${Version}' php-thrift 2>/dev/null) || library="of $(php_library)"
    echo "PHP $(php -r 'echo PHP_VERSION;'), thrift ${library%%-*}"
}
version_perl() { perl -MThrift -e 'printf "Perl %vd, Thrift %s\n", $^V, $Thrift::VERSION =~ s/^v//r'; }
