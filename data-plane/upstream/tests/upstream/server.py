"""An MCP server whose methods misbehave on request. One message at a time, so that tests know what comes when."""

import json
import os
import sys
import time

heard = []


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def notify(method, params):
    send({"jsonrpc": "2.0", "method": method, "params": params})


def progress(request, count):
    token = request["params"]["_meta"]["progressToken"]
    for n in range(count):
        notify("notifications/progress", {"progressToken": token, "progress": n, "pad": request["params"].get("pad", "")})


def ask(method):
    send({"jsonrpc": "2.0", "id": "q1", "method": method})
    reply = json.loads(sys.stdin.readline())
    return reply.get("result", reply.get("error"))


def serve(request):
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        answer(request, {"protocolVersion": "2025-11-25", "pid": os.getpid()})
    elif method == "refuse" or method == "initialize-refused":
        send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "no"}})
    elif method == "progress":
        progress(request, params.get("count", 3))
        answer(request, {"done": True})
    elif method == "stall":
        progress(request, 1)
    elif method == "question":
        answer(request, {"reply": ask("roots/list")})
    elif method == "ping-back":
        answer(request, {"reply": ask("ping")})
    elif method == "die":
        sys.stderr.write("first words\nlast words\n")
        sys.exit(3)
    elif method == "answer-and-die":
        answer(request, {"pid": os.getpid()})
        sys.exit(4)
    elif method == "never":
        pass
    elif method == "wait":
        time.sleep(params["seconds"])
        answer(request, {"pid": os.getpid()})
    elif method == "giant":
        sys.stdout.write("x" * (5 * 1024 * 1024) + "\n")
        sys.stdout.flush()
    elif method == "banner":
        sys.stdout.write("Welcome to the server!\n\n[1, 2]\n")
        answer(request, {"pid": os.getpid()})
    elif method == "twice":
        sys.stdout.write('{"jsonrpc": "2.0", "id": %s, "result": 1, "result": 2}\n' % json.dumps(request["id"]))
        sys.stdout.flush()
    elif method == "unasked":
        answer(request, {})
        for n in range(params["count"]):
            notify("notifications/resources/list_changed", {"n": n})
    elif method == "log":
        notify("notifications/message", {"level": "info", "data": "hello"})
        answer(request, {})
    elif method == "heard":
        answer(request, {"heard": heard})
    elif method == "environment":
        answer(request, dict(os.environ))
    elif method == "unheard/of":
        send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
    else:
        answer(request, {"pid": os.getpid(), "params": params, "id": request["id"]})


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        serve(message)
    else:
        heard.append(message)
