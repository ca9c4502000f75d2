// The contract's tensors (`wit/processor.wit`) as JavaScript's typed arrays, and back.
//
// What a client sent, or a model gave, is looked at before it is used: what is missing, of another
// type or of another shape is an error that names the tensor, what was expected and what was found.
//
// The contract's types, as JavaScript has them:
//
// - a variant is `{ tag, val }`: `request.tag === 'body'`;
// - an option is the value, or `undefined`;
// - an error is thrown: `throw { code: 'invalid-argument', message }`. Anything else that is thrown
//   is a defect of the processor, and the client learns no more than that it failed;
// - a 64-bit integer (a dimension, a version) is a BigInt where the component is made by
//   componentize-js, and a number where it is made by componentize-qjs; what goes through here is
//   a number on this side, but for the elements of 64-bit tensors, which are BigInt.
//
// Nothing in here is specific to one processor, and it runs in either engine and in Node.

/** The element types: number in the contract, and the array that holds the elements. */
const TYPES = {
  float: { number: 1, array: Float32Array },
  double: { number: 2, array: Float64Array },
  int32: { number: 3, array: Int32Array },
  uint8: { number: 4, array: Uint8Array },
  int16: { number: 5, array: Int16Array },
  int8: { number: 6, array: Int8Array },
  string: { number: 7 },
  int64: { number: 9, array: BigInt64Array },
  bool: { number: 10, array: Uint8Array },
  uint16: { number: 17, array: Uint16Array },
  uint32: { number: 22, array: Uint32Array },
  uint64: { number: 23, array: BigUint64Array },
};

/** A 64-bit integer as the engine wants it. Only QuickJS has the global `wit`. */
const integer = typeof globalThis.wit === 'undefined' ? BigInt : Number;

/** An error, to be thrown: `code` as the contract spells them, and what the client is to read. */
export function error(code, message) {
  return { code, message };
}

/** The client's own mistake: 400, `INVALID_ARGUMENT`. */
export function invalid(message) {
  return error('invalid-argument', message);
}

// --- What a model takes and gives ---

/** The model's signature of this name; an error, which keeps the model from being served, where
 * there is none. */
export function signatureOf(subject, name) {
  const found = subject.signatures.find((signature) => signature.name === name);
  if (found === undefined) {
    const names = subject.signatures.map((signature) => signature.name);
    throw error('failed-precondition', `the model ${subject.model} has no signature ${name}, only ${list(names)}`);
  }
  return found.signature;
}

/** Refuses a model whose input is another: `expectInput(signature, 'x', 'float', [-1])`. */
export function expectInput(signature, name, type, shape) {
  expectInfo(signature.inputs, 'input', name, type, shape);
}

/** Refuses a model whose output is another. */
export function expectOutput(signature, name, type, shape) {
  expectInfo(signature.outputs, 'output', name, type, shape);
}

function expectInfo(infos, kind, name, type, shape) {
  const info = infos.find((info) => info.name === name);
  if (info === undefined) {
    const names = infos.map((info) => info.name);
    throw error('failed-precondition', `the model has no ${kind} ${name}, only ${list(names)}`);
  }
  // A signature that says nothing of a dimension, or of the shape, may mean any.
  const found = info.shape === undefined || info.shape === null ? undefined : Array.from(info.shape, Number);
  const fits =
    found === undefined ||
    (found.length === shape.length &&
      shape.every((size, axis) => size === -1 || found[axis] === -1 || size === found[axis]));
  if (info.dtype !== TYPES[type].number || !fits) {
    throw error(
      'failed-precondition',
      `the model's ${kind} ${name}: expected ${type} [${shape}], found ${nameOf(info.dtype)} ` +
        (found === undefined ? 'of any rank' : `[${found}]`),
    );
  }
}

/** What clients send or get, for `describe`: `info('x', 'float', [-1])`. */
export function info(name, type, shape) {
  return { name, dtype: typeOf(type).number, shape: shape.map(integer), optional: false };
}

/** How clients see a signature, for `describe`. Without `inputs` and `outputs` the model's own. */
export function description(signatureName, { contentTypes = [], inputs, outputs } = {}) {
  return { signatureName, contentTypes, inputs, outputs, properties: [] };
}

// --- Tensors in ---

/** A tensor that a client sent, as `{ shape, values }`: -1 in `shape` is any size. */
export function input(tensors, name, type, shape) {
  return read(tensors, name, type, shape, 'invalid-argument');
}

/** A tensor that the model gave. That it is another is the model's fault, not the client's. */
export function output(tensors, name, type, shape) {
  return read(tensors, name, type, shape, 'internal');
}

function read(tensors, name, type, shape, code) {
  const { number, array: Elements } = typeOf(type);
  const found = tensors.find((tensor) => tensor.name === name);
  if (found === undefined) {
    throw error(code, `the tensor ${name} is missing: found ${list(tensors.map((tensor) => tensor.name))}`);
  }
  const { dtype, data } = found.tensor;
  const sizes = Array.from(found.tensor.shape, Number);
  const fits = sizes.length === shape.length && shape.every((size, axis) => size === -1 || size === sizes[axis]);
  if (dtype !== number || !fits) {
    throw error(code, `the tensor ${name}: expected ${type} [${shape}], found ${nameOf(dtype)} [${sizes}]`);
  }
  if (type === 'string') {
    return { shape: sizes, values: strings(data.val, name, code) };
  }
  // Copied: the bytes may begin where a typed array may not.
  const bytes = new Uint8Array(data.val);
  return { shape: sizes, values: new Elements(bytes.buffer) };
}

/** Byte strings that have to be UTF-8. */
function strings({ offsets, bytes }, name, code) {
  const ends = Array.from(offsets, Number);
  const all = new Uint8Array(bytes);
  return ends.slice(1).map((end, index) => {
    const text = decode(all.subarray(ends[index], end));
    if (text === undefined) {
      throw error(code, `the tensor ${name}: expected UTF-8, found other bytes in string ${index}`);
    }
    return text;
  });
}

// --- Tensors out ---

/** A tensor with its name: `tensor('x', 'float', [2], [1.5, 2])`. */
export function tensor(name, type, shape, values) {
  const { number, array: Elements } = typeOf(type);
  const count = shape.reduce((product, size) => product * size, 1);
  if (values.length !== count) {
    throw new RangeError(`the tensor ${name}: ${values.length} values do not fill [${shape}]`);
  }
  const data =
    type === 'string'
      ? { tag: 'strings', val: packed(values) }
      : { tag: 'fixed', val: new Uint8Array(new Elements(elements(type, values)).buffer) };
  return { name, tensor: { dtype: number, shape: shape.map(integer), data } };
}

function packed(values) {
  const parts = Array.from(values, (text) => encode(text));
  const offsets = [0];
  for (const part of parts) {
    offsets.push(offsets[offsets.length - 1] + part.length);
  }
  const bytes = new Uint8Array(offsets[parts.length]);
  parts.forEach((part, index) => bytes.set(part, offsets[index]));
  return { offsets: offsets.map(integer), bytes };
}

/** Values as an array of this type takes them. */
function elements(type, values) {
  if (type === 'int64' || type === 'uint64') {
    return Array.from(values, BigInt);
  }
  return type === 'bool' ? Array.from(values, (value) => (value ? 1 : 0)) : values;
}

// --- Steps and answers ---

/** Runs the model: what `preprocess` gives. Without `outputs` all of them are wanted. */
export function run(signatureName, inputs, outputs = []) {
  return { tag: 'run', val: { signatureName, inputs, outputs } };
}

/** An answer of tensors: those that the client wants, which without a word are all. */
export function answerTensors(context, tensors) {
  const wanted = tensors.filter(({ name }) => context.outputs.length === 0 || context.outputs.includes(name));
  return { payload: { tag: 'tensors', val: wanted }, version: undefined, properties: [] };
}

/** An answer of JSON. */
export function answerJson(value) {
  const body = { contentType: 'application/json', bytes: encode(JSON.stringify(value)) };
  return { payload: { tag: 'body', val: body }, version: undefined, properties: [] };
}

// --- Text ---

/** The text of a body. */
export function text(body) {
  const found = decode(new Uint8Array(body.bytes));
  if (found === undefined) {
    throw invalid(`expected ${body.contentType} in UTF-8, found other bytes`);
  }
  return found;
}

/** UTF-8 of a text. What is no character (half of a pair) becomes U+FFFD. */
function encode(text) {
  if (typeof TextEncoder !== 'undefined') {
    return new TextEncoder().encode(text);
  }
  // QuickJS has none. Here and below: `escape` writes a byte for each of a string's characters.
  const characters = unescape(encodeURIComponent(text.toWellFormed()));
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[at] = characters.charCodeAt(at);
  }
  return bytes;
}

/** The text of UTF-8, `undefined` where it is none. */
function decode(bytes) {
  try {
    if (typeof TextDecoder !== 'undefined') {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    }
    const parts = [];
    // In parts: a call takes only so many arguments.
    for (let at = 0; at < bytes.length; at += 4096) {
      parts.push(String.fromCharCode.apply(null, bytes.subarray(at, at + 4096)));
    }
    return decodeURIComponent(escape(parts.join('')));
  } catch {
    return undefined;
  }
}

// --- Names ---

function typeOf(type) {
  const found = TYPES[type];
  if (found === undefined) {
    throw new RangeError(`no element type is called ${type}: there are ${Object.keys(TYPES).join(', ')}`);
  }
  return found;
}

function nameOf(number) {
  const found = Object.entries(TYPES).find(([, type]) => type.number === number);
  return found === undefined ? `type ${number} of tensorflow.DataType` : found[0];
}

function list(names) {
  return names.length === 0 ? 'nothing' : names.join(', ');
}
