// The processor as plain JavaScript, in Node.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { processor } from './iris.js';
import { info, input, tensor } from './tensors.js';

const context = { signatureName: 'serving_default', outputs: [] };
const flower = (length) => ({
  id: 'a',
  sepal: { length: '5 cm', width: '35 mm' },
  petal: { length, width: '0.5cm' },
});
const send = (value) => {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const body = { contentType: 'application/vnd.flowers+json', bytes };
  return processor.preprocess(context, { tag: 'body', val: body });
};

test('lengths of any unit become centimetres, and probabilities a species', () => {
  const step = send({ flowers: [flower('1 in'), flower('14 mm')] });
  const { shape, values } = input(step.val.inputs, 'measurements', 'float', [-1, 4]);
  assert.deepEqual(shape, [2, 4]);
  const expected = Float32Array.from([5, 3.5, 2.54, 0.5, 5, 3.5, 1.4, 0.5]);
  values.forEach((value, at) => assert.ok(Math.abs(value - expected[at]) < 1e-6, `${value} at ${at}`));
  const outputs = [tensor('probabilities', 'float', [2, 3], [0, 0.75, 0.25, 0.5, 0.25, 0.25])];
  const answer = processor.postprocess(context, outputs);
  assert.deepEqual(JSON.parse(Buffer.from(answer.payload.val.bytes).toString()), {
    flowers: [
      { id: 'a', species: 'versicolor', probability: 0.75 },
      { id: 'a', species: 'setosa', probability: 0.5 },
    ],
  });
});

test('tensors are answered with tensors', () => {
  const sepal = tensor('sepal', 'float', [1, 2], [5, 3.5]);
  const petal = tensor('petal', 'float', [1, 2], [1.5, 0.5]);
  const step = processor.preprocess(context, { tag: 'tensors', val: [sepal, petal] });
  assert.deepEqual(step.val.inputs, [tensor('measurements', 'float', [1, 4], [5, 3.5, 1.5, 0.5])]);
  const outputs = [tensor('probabilities', 'float', [1, 3], [0, 0, 1])];
  assert.deepEqual(processor.postprocess(context, outputs).payload.val, [
    tensor('species', 'string', [1], ['virginica']),
    tensor('probability', 'float', [1], [1]),
  ]);
  const two = tensor('petal', 'float', [2, 2], [1, 1, 1, 1]);
  assert.throws(() => processor.preprocess(context, { tag: 'tensors', val: [sepal, two] }), {
    message: 'expected as many petals as sepals, found 2 and 1',
  });
});

test('what is wrong is said with its place', () => {
  const wrong = [
    ['{"flowers": ', /^expected JSON: /],
    [[1, 2], /^expected an object with a list of flowers/],
    [null, /^expected an object with a list of flowers/],
    [{ flowers: [] }, /^expected 1 to 1000 flowers, found 0$/],
    [{ flowers: [null] }, /^flower 0: sepal.length: expected a length in mm, cm, in, found nothing$/],
    [{ flowers: [flower('1 cm'), flower('2 furlongs')] }, /^flower 1: petal.length: .* found "2 furlongs"$/],
    [{ flowers: [flower('1 toString')] }, /found "1 toString"$/],
    [{ flowers: [flower(3)] }, /found 3$/],
  ];
  for (const [value, message] of wrong) {
    assert.throws(() => send(value), { code: 'invalid-argument', message });
  }
});

test('another model is refused', () => {
  const model = (columns) => ({
    model: 'm',
    signatures: [
      {
        name: 'serving_default',
        signature: {
          inputs: [info('measurements', 'float', [-1, columns])],
          outputs: [info('probabilities', 'float', [-1, 3])],
        },
      },
    ],
  });
  assert.equal(processor.describe(model(4))[0].signatureName, 'serving_default');
  assert.throws(() => processor.describe(model(5)), { code: 'failed-precondition' });
});
