package stormwire.interop;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.thrift.TApplicationException;
import org.apache.thrift.TConfiguration;
import org.apache.thrift.TException;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.transport.TSocket;
import org.apache.thrift.transport.layered.TFramedTransport;

/**
 * A connection of the generated client to one service, which remembers what was called.
 *
 * @param <I> the service's interface
 */
final class Peer<I> {
    private static final int TIMEOUT_MS = 20_000;
    /** What Storm's Java clients take: nimbus.thrift.max_buffer_size. */
    private static final int REPLY_BYTES_MAX = 1_048_576;

    /** Calls the service. */
    final I call;

    private final Class<I> service;
    private final Set<String> called = new TreeSet<>();

    /** Connects to `address`, host:port. */
    Peer(Class<I> service, String address, Function<TProtocol, I> client) throws TException {
        this.service = service;
        int colon = address.lastIndexOf(':');
        int port = Integer.parseInt(address.substring(colon + 1));
        TSocket socket = new TSocket(new TConfiguration(), address.substring(0, colon), port,
                TIMEOUT_MS);
        TFramedTransport framed = new TFramedTransport(socket, REPLY_BYTES_MAX);
        framed.open();
        I generated = client.apply(new TBinaryProtocol(framed));
        Object recording = Proxy.newProxyInstance(service.getClassLoader(),
                new Class<?>[] {service}, (proxy, method, arguments) -> {
                    called.add(method.getName());
                    try {
                        return method.invoke(generated, arguments);
                    } catch (InvocationTargetException failure) {
                        throw failure.getCause();
                    }
                });
        call = service.cast(recording);
    }

    /** Methods of the service that nobody has called. */
    Set<String> neverCalled() {
        Set<String> all = Arrays.stream(service.getMethods()).map(Method::getName)
                .collect(Collectors.toCollection(TreeSet::new));
        all.removeAll(called);
        return all;
    }

    int methods() {
        return service.getMethods().length;
    }

    // ---- Refusals --------------------------------------------------------------------------

    /** The body must throw this declared exception, with exactly this text. */
    static Object refused(Class<? extends TException> kind, String text, Steps.Body body)
            throws Throwable {
        TException refusal = Steps.thrown(kind, body);
        Steps.equal(refusal.toString(), kind.getSimpleName() + "(msg:" + text + ")");
        return text;
    }

    /** The body must throw INTERNAL_ERROR of this method, with `part` in its text. */
    static Object internal(String method, String part, Steps.Body body) throws Throwable {
        TApplicationException error = Steps.thrown(TApplicationException.class, body);
        Steps.equal(error.getType(), TApplicationException.INTERNAL_ERROR);
        String text = error.getMessage();
        Steps.check(text.startsWith("Internal error processing " + method), text);
        Steps.check(text.contains(part), text);
        return text;
    }
}
