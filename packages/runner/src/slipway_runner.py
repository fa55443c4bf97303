"""The program inside a Python sandbox: runs the scripts of one run, one after another.

One JSON text per request and per reply. Under CPython `main` serves them over the two descriptors it was started
with; under Pyodide the host calls `handle` directly. Values travel in the lossless form of `encode` and `decode`.
"""

import builtins
import io
import json
import os
import sys
import types

MODULE = 'slipway_script'
DEEPEST = 200
PROBLEM = 20_000
WRITES = 1_000


class Body:
    """What a script sees as `body`."""

    def __init__(self, base_dir):
        self.base_dir = base_dir
        self.file_system = FileSystem(base_dir)


class FileSystem:
    """Files of the run, with the replies that plans expect from the file tool: a status, never an exception."""

    def __init__(self, base_dir):
        self.base_dir = base_dir

    def read(self, location=None, path=None):
        try:
            with open(self._existing(_one_of(location, path)), encoding='utf-8') as file:
                return {'status': 'success', 'content': file.read()}
        except Exception as error:
            return _error(error)

    def exists(self, location=None, path=None):
        try:
            return os.path.exists(self._existing(_one_of(location, path)))
        except Exception:
            return False

    def save(self, content=None, location=None, path=None):
        if isinstance(content, (list, tuple, dict)):
            content = json.dumps(content, indent=2, ensure_ascii=False)
        return self._put(content, _one_of(location, path))

    def write(self, path=None, content=None, location=None):
        return self.save(content, _one_of(location, path))

    def save_from_dict(self, dictionary=None, directory='.'):
        if not isinstance(dictionary, dict):
            return {'status': 'error', 'message': 'save_from_dict needs a dict of file names and contents.'}
        saved = []
        for name, content in dictionary.items():
            text = content if isinstance(content, str) else json.dumps(content, indent=2)
            reply = self._put(text, os.path.join(_slashes(directory), _slashes(str(name))))
            if reply['status'] == 'error':
                return reply
            saved.append(reply['location'])
        return {'status': 'success', 'saved_locations': saved, 'saved_location': saved[0] if saved else None}

    def _put(self, content, location):
        if not isinstance(content, str):
            return {'status': 'error', 'message': 'Cannot save a value of type %s.' % type(content).__name__}
        try:
            target = self._absolute(location)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, 'w', encoding='utf-8', newline='') as file:
                file.write(content)
            return {'status': 'success', 'location': target}
        except Exception as error:
            return _error(error)

    def _absolute(self, location):
        return os.path.abspath(os.path.join(self.base_dir, _slashes(location)))

    def _existing(self, location):
        # Packages keep their files in `provisions/`, but many plans were written when it was called `provision/`.
        target = self._absolute(location)
        if os.path.exists(target):
            return target
        first, _, rest = _slashes(location).partition('/')
        other = {'provision': 'provisions', 'provisions': 'provision'}.get(first)
        moved = self._absolute(other + '/' + rest) if other else target
        return moved if os.path.exists(moved) else target


def _one_of(location, path):
    chosen = path if location is None else location
    if chosen is None:
        raise ValueError('No path was given.')
    return os.fspath(chosen)


def _slashes(path):
    return os.fspath(path).replace('\\', '/')


def _error(error):
    return {'status': 'error', 'message': _text_of(error)}


def _text_of(error):
    try:
        return str(error)
    except Exception:
        return type(error).__name__


class Sink(io.RawIOBase):
    """Takes what a script prints; keeps the first bytes and forgets the rest."""

    def __init__(self):
        self.limit = 0
        self.kept = bytearray()

    def writable(self):
        return True

    def write(self, data):
        room = self.limit - len(self.kept)
        if room > 0:
            self.kept += bytes(data[:room])
        return len(data)

    def take(self):
        text = self.kept.decode('utf-8', 'replace')
        self.kept.clear()
        return text


class Writes:
    """Notes which files of the run a script opens for writing, moves or removes: for the run's trace, not for safety."""

    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def __init__(self, folder):
        self.folder = os.path.join(folder, '')
        self.paths = {}
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        try:
            if event == 'open' and isinstance(args[2], int) and args[2] & self.WRITING:
                self.note(args[0])
            elif event == 'os.rename':
                self.note(args[0])
                self.note(args[1])
            elif event in ('os.remove', 'os.truncate'):
                self.note(args[0])
        except Exception:
            pass

    def note(self, path):
        path = os.path.abspath(os.fsdecode(path))
        if path.startswith(self.folder) and '__pycache__' not in path and len(self.paths) < WRITES:
            self.paths[path[len(self.folder) :]] = True

    def take(self):
        paths = list(self.paths)
        self.paths = {}
        return paths


class Runner:
    """Runs scripts for one folder and turns everything that happens into a reply."""

    def __init__(self, folder, output_bytes):
        self.folder = folder
        self.output_bytes = output_bytes
        self.sink = Sink()
        self.sink.limit = output_bytes
        self.writes = Writes(folder)

    def handle(self, line):
        request = json.loads(line)
        try:
            value = self._run(request)
            reply = '{"id":%d,"type":"value","value":%s' % (request['id'], value)
        except MemoryError:
            reply = '{"id":%d,"type":"memory"' % request['id']
        printed = self.sink.take()
        written = self.writes.take()
        reply += ',"output":%s' % json.dumps(printed) if printed else ''
        return reply + (',"files":%s}' % json.dumps(written) if written else '}')

    def _run(self, request):
        known = set(sys.modules)
        paths = list(sys.path)
        self._arrange(request['path'])
        try:
            return self._text(self._value(request))
        except MemoryError:
            raise
        except Exception as error:
            problem = _text_of(error)
        except SystemExit as error:
            problem = 'The script called exit(%s).' % _text_of(error)
        except BaseException as error:
            problem = _text_of(error) or type(error).__name__
        finally:
            self._forget(known, paths)
        # Short enough to fit, however many bytes its characters need.
        return self._text({'status': 'error', 'message': problem[: min(PROBLEM, self.output_bytes // 16)]})

    def _text(self, value):
        text = json.dumps(encode(value))
        if len(text) > self.output_bytes:
            raise ValueError('The result has %d bytes, more than the limit of %d.' % (len(text), self.output_bytes))
        return text

    def _value(self, request):
        path = os.path.join(self.folder, _slashes(request['path']))
        module = types.ModuleType(MODULE)
        module.__file__ = path
        sys.modules[MODULE] = module
        scope = module.__dict__
        scope['__builtins__'] = builtins
        if request['type'] == 'execute':
            scope.update(decode(request['globals']))
        exec(compile(request['code'], path, 'exec'), scope)
        if request['type'] == 'execute':
            if scope.get('result') is None:
                return {'status': 'warning', 'message': 'The script ran but set no variable named result.'}
            return scope['result']
        name = request['function']
        function = scope.get(name)
        if not callable(function):
            raise NameError("The script defines no function named '%s'." % name)
        arguments = decode(request['args'])
        if request['withBody'] and 'body' not in arguments and takes_body(function):
            arguments['body'] = Body(self.folder)
        return function(**arguments)

    def _arrange(self, path):
        os.chdir(self.folder)
        sys.argv = [path]
        sys.stdin = io.StringIO('')
        # A new wrapper for every call: a script may have closed or replaced the last one.
        self.sink = Sink()
        self.sink.limit = self.output_bytes
        out = io.TextIOWrapper(self.sink, encoding='utf-8', errors='backslashreplace', write_through=True)
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = out
        # Last, so that a file of the run never hides a module of the standard library.
        folder_of_script = os.path.dirname(os.path.join(self.folder, _slashes(path)))
        sys.path += [folder for folder in dict.fromkeys([folder_of_script, self.folder]) if folder not in sys.path]

    def _forget(self, known, paths):
        # A later step may have rewritten a module that a script imported from the run's folder.
        sys.modules.pop(MODULE, None)
        for name in set(sys.modules) - known:
            file = getattr(sys.modules.get(name), '__file__', None)
            if isinstance(file, str) and file.startswith(self.folder + os.sep):
                sys.modules.pop(name, None)
        sys.path[:] = paths


def takes_body(function):
    """True when the function has a parameter `body` or `**kwargs`."""
    code = getattr(function, '__code__', None)
    if code is not None and not hasattr(function, '__wrapped__') and not hasattr(function, '__self__'):
        named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return 'body' in named or bool(code.co_flags & 0x08)
    import inspect

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return 'body' in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def encode(value, depth=0):
    """A Python value as data for `json.dumps` that tells tuples, sets, bytes and any dict key apart.

    What JSON lacks becomes an object with one key: `$tuple`, `$set`, `$bytes` (hex), `$float` (nan, inf), and `$dict`
    (pairs) for dicts whose keys are not all texts or that would themselves look like one of these.
    """
    if value is None or isinstance(value, bool):
        return value
    if depth > DEEPEST:
        raise ValueError('The result is nested more than %d levels deep.' % DEEPEST)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        value = float(value)
        return value if value - value == 0 else {'$float': repr(value)}
    if isinstance(value, dict):
        return _encode_dict(value, depth + 1)
    if isinstance(value, list):
        return _encode_items(value, depth)
    if isinstance(value, tuple):
        return {'$tuple': _encode_items(value, depth)}
    if isinstance(value, (set, frozenset)):
        return {'$set': _encode_items(value, depth)}
    if isinstance(value, (bytes, bytearray)):
        return {'$bytes': value.hex()}
    # Anything else (a date, a Decimal, a path) goes into prompts and signs as its text anyway.
    return str(value)


def _encode_items(items, depth):
    return [encode(item, depth + 1) for item in items]


def _encode_dict(value, depth):
    plain = all(isinstance(key, str) for key in value)
    if plain and not (len(value) == 1 and next(iter(value)).startswith('$')):
        return {str.__str__(key): encode(item, depth) for key, item in value.items()}
    return {'$dict': [[encode(key, depth), encode(item, depth)] for key, item in value.items()]}


def decode(data):
    """The inverse of `encode`, for what `json.loads` made."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        (tag, content), = data.items()
        if tag == '$dict':
            return {decode(key): decode(item) for key, item in content}
        if tag == '$tuple':
            return tuple(decode(item) for item in content)
        if tag == '$set':
            return {decode(item) for item in content}
        if tag == '$bytes':
            return bytes.fromhex(content)
        if tag == '$float':
            return float(content)
    return {key: decode(item) for key, item in data.items()}


def use_plain_event_loop():
    """Makes `asyncio.run` work under Pyodide, whose own event loop waits for JavaScript's: timers, but no sockets."""
    import asyncio.events
    import time

    # Pyodide changed the module that it imported; the next import is Python's own.
    asyncio.events._set_running_loop(None)
    for name in [name for name in sys.modules if name.partition('.')[0] == 'asyncio']:
        del sys.modules[name]
    import asyncio

    class Timers:
        def select(self, timeout):
            if timeout is None:
                raise RuntimeError('The script waits for something that cannot happen in this sandbox.')
            time.sleep(max(timeout, 0))
            return []

    class Loop(asyncio.base_events.BaseEventLoop):
        def __init__(self):
            super().__init__()
            self._selector = Timers()

        def _process_events(self, events):
            pass

        def _write_to_self(self):
            pass

    class Policy(asyncio.events._BaseDefaultEventLoopPolicy):
        _loop_factory = Loop

    asyncio.events._event_loop_policy = Policy()


def limit_resources(limits):
    """Limits that the kernel enforces on this process and that nothing started from it can raise again."""
    import resource

    fixed = {
        resource.RLIMIT_AS: limits['memoryBytes'],
        resource.RLIMIT_FSIZE: limits['fileBytes'],
        resource.RLIMIT_NPROC: limits['processes'],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in fixed.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def limit_processor_time(seconds):
    """Ends this process when the next call uses more processor time than it may take altogether."""
    import resource

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, hard))


def main():
    """Serves calls under CPython: `slipway_runner.py <folder> <limits as JSON>`, requests on 0 and replies on 1."""
    folder, limits = sys.argv[1], json.loads(sys.argv[2])
    requests = os.fdopen(os.dup(0), 'r', encoding='utf-8', newline='\n')
    replies = os.fdopen(os.dup(1), 'w', encoding='utf-8', newline='\n')
    # Whatever a script writes to the usual descriptors must not reach the conversation.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    os.environ.clear()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry and entry != here]
    limit_resources(limits)
    runner = Runner(folder, limits['outputBytes'])
    replies.write('{"type": "ready"}\n')
    replies.flush()
    for line in requests:
        limit_processor_time(limits['callTimeoutMs'] // 1000 * 4 + 5)
        replies.write(runner.handle(line) + '\n')
        replies.flush()


if __name__ == '__main__':
    main()
