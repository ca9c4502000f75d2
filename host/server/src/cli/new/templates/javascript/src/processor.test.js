// Run by `npm test`: the processor as plain JavaScript, in Node.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parse, processor } from './processor.js';
import { tensor } from './tensors.js';

const context = { signatureName: 'serving_default', outputs: [] };

test('a line becomes a number and a number a line', () => {
  const body = { contentType: 'text/csv', bytes: Buffer.from('kitchen,1\n\nhall,-2.5\r\n') };
  const step = processor.preprocess(context, { tag: 'body', val: body });
  assert.deepEqual(step.val.inputs, [tensor('x', 'float', [2], [1, -2.5])]);
  const answer = processor.postprocess(context, [tensor('y', 'float', [2], [2.5, 0.75])]);
  assert.equal(
    Buffer.from(answer.payload.val.bytes).toString(),
    '[{"name":"kitchen","y":2.5},{"name":"hall","y":0.75}]',
  );
});

test('tensors go through as they are', () => {
  const x = tensor('x', 'float', [1], [1]);
  const step = processor.preprocess(context, { tag: 'tensors', val: [x] });
  assert.deepEqual(step.val.inputs, [x]);
  const y = tensor('y', 'float', [1], [2.5]);
  assert.deepEqual(processor.postprocess(context, [y]).payload, { tag: 'tensors', val: [y] });
});

test('a line that is none is named', () => {
  const message = 'line 2: expected a name, a comma and a number, found "hall"';
  assert.throws(() => parse('kitchen,1\nhall'), { code: 'invalid-argument', message });
  assert.throws(() => parse(''), { code: 'invalid-argument' });
});
