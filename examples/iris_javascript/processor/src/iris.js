// A processor: flowers as a web page has them in, species out.
//
// Users send `application/vnd.flowers+json`, lengths as people write them:
//
//     {"flowers": [{"id": "a", "sepal": {"length": "5.1 cm", "width": "35 mm"},
//                   "petal": {"length": "0.55 in", "width": "0.2 cm"}}]}
//
// Clients of TensorFlow Serving's protocols send the tensors `sepal` and `petal`, length and width
// in centimetres. The model takes all four as one tensor and gives a probability of each species.

import {
  answerJson,
  answerTensors,
  description,
  expectInput,
  expectOutput,
  info,
  input,
  invalid,
  output,
  run,
  signatureOf,
  tensor,
  text,
} from './tensors.js';

// The signature of the model that is covered, with its input and output.
const SIGNATURE = 'serving_default';
const INPUT = 'measurements';
const OUTPUT = 'probabilities';

// The labels, in the order of the model's probabilities.
const SPECIES = ['setosa', 'versicolor', 'virginica'];

// Flowers of one request; more are refused, which bounds what a request costs.
const MAX_FLOWERS = 1000;

// Centimetres in a unit.
const UNITS = { mm: 0.1, cm: 1, in: 2.54 };

// The names of this request's flowers; undefined where tensors were sent. An instance serves one
// request, so that a variable holds what belongs to it.
let ids;

export const processor = {
  describe(subject) {
    const signature = signatureOf(subject, SIGNATURE);
    expectInput(signature, INPUT, 'float', [-1, 4]);
    expectOutput(signature, OUTPUT, 'float', [-1, SPECIES.length]);
    const contentTypes = ['application/vnd.flowers+json'];
    const inputs = [info('sepal', 'float', [-1, 2]), info('petal', 'float', [-1, 2])];
    const outputs = [info('species', 'string', [-1]), info('probability', 'float', [-1])];
    return [description(SIGNATURE, { contentTypes, inputs, outputs })];
  },

  preprocess(context, request) {
    const rows = request.tag === 'body' ? ofBody(request.val) : ofTensors(request.val);
    return run(SIGNATURE, [tensor(INPUT, 'float', [rows.length, 4], rows.flat())], [OUTPUT]);
  },

  postprocess(context, outputs) {
    const { shape, values } = output(outputs, OUTPUT, 'float', [-1, SPECIES.length]);
    const likeliest = Array.from({ length: shape[0] }, (_, row) => {
      const chances = values.subarray(row * SPECIES.length, (row + 1) * SPECIES.length);
      const probability = Math.max(...chances);
      return { species: SPECIES[chances.indexOf(probability)], probability };
    });
    if (ids !== undefined) {
      return answerJson({ flowers: likeliest.map((flower, index) => ({ id: ids[index], ...flower })) });
    }
    const species = likeliest.map((flower) => flower.species);
    const chances = likeliest.map((flower) => flower.probability);
    return answerTensors(context, [
      tensor('species', 'string', [species.length], species),
      tensor('probability', 'float', [chances.length], chances),
    ]);
  },
};

function ofTensors(tensors) {
  ids = undefined;
  const sepal = input(tensors, 'sepal', 'float', [-1, 2]);
  const petal = input(tensors, 'petal', 'float', [-1, 2]);
  const [count] = sepal.shape;
  if (petal.shape[0] !== count) {
    throw invalid(`expected as many petals as sepals, found ${petal.shape[0]} and ${count}`);
  }
  checkCount(count);
  return Array.from({ length: count }, (_, row) => [
    ...sepal.values.subarray(2 * row, 2 * row + 2),
    ...petal.values.subarray(2 * row, 2 * row + 2),
  ]);
}

function ofBody(body) {
  const flowers = parse(text(body));
  ids = flowers.map((flower, index) => flower?.id ?? index);
  return flowers.map((flower, index) =>
    ['sepal', 'petal'].flatMap((part) =>
      ['length', 'width'].map((side) => centimetres(flower?.[part]?.[side], `flower ${index}: ${part}.${side}`)),
    ),
  );
}

function parse(json) {
  let parsed;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw invalid(`expected JSON: ${error.message}`);
  }
  if (!Array.isArray(parsed?.flowers)) {
    throw invalid('expected an object with a list of flowers: {"flowers": [...]}');
  }
  checkCount(parsed.flowers.length);
  return parsed.flowers;
}

function checkCount(count) {
  if (count < 1 || count > MAX_FLOWERS) {
    throw invalid(`expected 1 to ${MAX_FLOWERS} flowers, found ${count}`);
  }
}

// A length like `3.5 cm`, in centimetres.
function centimetres(written, where) {
  const parts = typeof written === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(\w+)\s*$/.exec(written) : null;
  const unit = parts === null || !Object.hasOwn(UNITS, parts[2]) ? undefined : UNITS[parts[2]];
  if (unit === undefined) {
    const found = written === undefined ? 'nothing' : JSON.stringify(written);
    throw invalid(`${where}: expected a length in ${Object.keys(UNITS).join(', ')}, found ${found}`);
  }
  return Number(parts[1]) * unit;
}
