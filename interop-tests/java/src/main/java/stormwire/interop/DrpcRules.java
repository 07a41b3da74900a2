package stormwire.interop;

import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import stormwire.generated.DRPCExceptionType;
import stormwire.generated.DRPCExecutionException;
import stormwire.generated.DRPCRequest;
import stormwire.generated.DistributedRPC;
import stormwire.generated.DistributedRPCInvocations;

/** The DRPC server from both sides: who calls, and who answers. */
final class DrpcRules {
    private static final String FUNCTION = "java-contract";

    private final DistributedRPC.Iface drpc;
    private final DistributedRPCInvocations.Iface invocations;

    DrpcRules(DistributedRPC.Iface drpc, DistributedRPCInvocations.Iface invocations) {
        this.drpc = drpc;
        this.invocations = invocations;
    }

    void run(Steps steps) {
        steps.step("C 10.1 fetchRequest: nothing asked, empty at once", () -> {
            DRPCRequest nothing = invocations.fetchRequest("java-contract-unused");
            equal(nothing.getFunc_args(), "");
            equal(nothing.getRequest_id(), "");
            return null;
        });
        steps.step("C 10.1 execute, fetchRequest, result", () -> {
            CompletableFuture<String> answer = execute("thar");
            DRPCRequest request = fetch();
            equal(request.getFunc_args(), "thar");
            check(request.getRequest_id().matches("[0-9]+"), request);
            invocations.result(request.getRequest_id(), "she blows");
            equal(answer.get(10, TimeUnit.SECONDS), "she blows");
            return null;
        });
        steps.step("C 10.1 failRequest: `Request failed`", () -> {
            CompletableFuture<String> answer = execute("x");
            invocations.failRequest(fetch().getRequest_id());
            DRPCExecutionException failure = failure(answer);
            equal(failure.getMsg(), "Request failed");
            equal(failure.getType(), DRPCExceptionType.FAILED_REQUEST);
            return null;
        });
        steps.step("C 10.1 failRequestV2: the given exception", () -> {
            CompletableFuture<String> answer = execute("x");
            invocations.failRequestV2(fetch().getRequest_id(),
                    new DRPCExecutionException("sunk").setType(DRPCExceptionType.INTERNAL_ERROR));
            DRPCExecutionException failure = failure(answer);
            equal(failure.getMsg(), "sunk");
            equal(failure.getType(), DRPCExceptionType.INTERNAL_ERROR);
            return null;
        });
        steps.step("C 10.1 result, failRequest: an unknown id is ignored", () -> {
            invocations.result("4711000000", "x");
            invocations.failRequest("4711000000");
            return null;
        });
    }

    private CompletableFuture<String> execute(String arguments) {
        CompletableFuture<String> answer = new CompletableFuture<>();
        Thread caller = new Thread(() -> {
            try {
                answer.complete(drpc.execute(FUNCTION, arguments));
            } catch (Throwable failure) {
                answer.completeExceptionally(failure);
            }
        });
        caller.setDaemon(true);
        caller.start();
        return answer;
    }

    private DRPCRequest fetch() throws Exception {
        DRPCRequest[] found = new DRPCRequest[1];
        eventually("a request", () -> {
            found[0] = invocations.fetchRequest(FUNCTION);
            return !found[0].getRequest_id().isEmpty();
        });
        return found[0];
    }

    private static DRPCExecutionException failure(CompletableFuture<String> answer)
            throws Exception {
        try {
            throw new AssertionError("no failure but " + answer.get(10, TimeUnit.SECONDS));
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof DRPCExecutionException told) {
                return told;
            }
            throw failure;
        }
    }
}
