// Run by `npm test`: tensors there and back, in an engine that has text decoders and in one that has
// none.

import assert from 'node:assert/strict';
import { test } from 'node:test';

const whole = await import('./tensors.js');
const { TextDecoder, TextEncoder } = globalThis;
const engines = { 'with text decoders': whole };

// As QuickJS has it: no decoders, and 64-bit integers are numbers.
engines['without text decoders'] = await (async () => {
  globalThis.wit = {};
  const bare = await import('./tensors.js?bare');
  delete globalThis.wit;
  const bared = {};
  for (const [name, made] of Object.entries(bare)) {
    bared[name] = (...args) => {
      globalThis.TextDecoder = undefined;
      globalThis.TextEncoder = undefined;
      try {
        return made(...args);
      } finally {
        Object.assign(globalThis, { TextDecoder, TextEncoder });
      }
    };
  }
  return bared;
})();

for (const [engine, { answerTensors, expectInput, info, input, output, signatureOf, tensor, text }] of Object.entries(engines)) {
  test(`values come back, ${engine}`, () => {
    const there = [
      tensor('floats', 'float', [2, 2], [1, 2.5, -3, 0]),
      tensor('longs', 'int64', [2], [1, -2n]),
      tensor('flags', 'bool', [2], [true, false]),
      tensor('words', 'string', [3], ['', 'grün', '😀 and a half \ud83d']),
      tensor('none', 'float', [0], []),
    ];
    assert.deepEqual(input(there, 'floats', 'float', [-1, 2]), {
      shape: [2, 2],
      values: Float32Array.from([1, 2.5, -3, 0]),
    });
    assert.deepEqual(input(there, 'longs', 'int64', [2]).values, BigInt64Array.from([1n, -2n]));
    assert.deepEqual(input(there, 'flags', 'bool', [-1]).values, Uint8Array.from([1, 0]));
    assert.deepEqual(input(there, 'words', 'string', [-1]).values, ['', 'grün', '😀 and a half \ufffd']);
    assert.deepEqual(input(there, 'none', 'float', [-1]).values, new Float32Array(0));
    const half = answerTensors({ outputs: ['words'] }, there);
    assert.deepEqual(half.payload.val.map(({ name }) => name), ['words']);
  });

  test(`a tensor that is another is named, with what was expected and found, ${engine}`, () => {
    const there = [tensor('x', 'float', [2, 2], [1, 2, 3, 4])];
    const thrown = (code, message) => ({ code, message });
    assert.throws(
      () => input(there, 'x', 'float', [-1, 3]),
      thrown('invalid-argument', 'the tensor x: expected float [-1,3], found float [2,2]'),
    );
    assert.throws(
      () => input(there, 'x', 'int64', [-1, 2]),
      thrown('invalid-argument', 'the tensor x: expected int64 [-1,2], found float [2,2]'),
    );
    assert.throws(() => output(there, 'y', 'float', [-1]), thrown('internal', 'the tensor y is missing: found x'));
    assert.throws(() => tensor('x', 'float', [3], [1]), /1 values do not fill \[3\]/);
    assert.throws(() => tensor('x', 'floats', [1], [1]), /no element type is called floats/);
    const broken = [tensor('s', 'string', [1], ['ab'])];
    broken[0].tensor.data.val.bytes[1] = 0xc3;
    assert.throws(
      () => input(broken, 's', 'string', [1]),
      thrown('invalid-argument', 'the tensor s: expected UTF-8, found other bytes in string 0'),
    );
  });

  test(`a body is UTF-8, ${engine}`, () => {
    const body = (bytes) => ({ contentType: 'text/csv', bytes });
    const long = 'ä€😀'.repeat(5000);
    assert.equal(text(body(Buffer.from(long))), long);
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0x80]]) {
      assert.throws(() => text(body(Uint8Array.from(bytes))), { code: 'invalid-argument' });
    }
  });

  test(`a model that is another is refused, ${engine}`, () => {
    const signature = { inputs: [info('x', 'float', [-1, 4])], outputs: [] };
    const subject = { model: 'm', signatures: [{ name: 'serving_default', signature }] };
    assert.equal(signatureOf(subject, 'serving_default'), signature);
    expectInput(signature, 'x', 'float', [-1, 4]);
    expectInput({ inputs: [{ ...info('x', 'float', []), shape: undefined }] }, 'x', 'float', [-1, 4]);
    const code = 'failed-precondition';
    assert.throws(() => signatureOf(subject, 'other'), { code });
    assert.throws(() => expectInput(signature, 'x', 'float', [-1, 5]), {
      code,
      message: "the model's input x: expected float [-1,5], found float [-1,4]",
    });
    assert.throws(() => expectInput(signature, 'y', 'float', [-1]), { code });
  });
}
