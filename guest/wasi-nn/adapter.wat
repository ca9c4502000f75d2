;; The older form of wasi-nn, `wasi_ephemeral_nn` for modules, on top of the package `wasi:nn` for
;; components: what the crate `wasi-nn` of crates.io is compiled to call. Linked into a component
;; by `wasm-component-ld --adapt`, and of use in any host of the newer form that takes numbers.
;;
;; In the older form inputs and outputs have numbers. Number N is sent as the name "N", which the
;; host takes for the position in the order of the signature's names.
;;
;; Memory is the program's, asked for by its own allocator, once for each context:
;;
;;   0 next block     4 context      8 outputs, place   12 outputs, number
;;  16 what calls return (12 bytes)
;;  28 inputs: for each of 64, place and length of its name, and its tensor (0: none)
;; 796 names: two digits for each
(module
  (import "env" "memory" (memory 0))
  (import "__main_module__" "cabi_realloc"
    (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "wasi:nn/graph@0.2.0-rc-2024-10-28" "load-by-name"
    (func $load-by-name (param i32 i32 i32)))
  (import "wasi:nn/graph@0.2.0-rc-2024-10-28" "[method]graph.init-execution-context"
    (func $init (param i32 i32)))
  (import "wasi:nn/tensor@0.2.0-rc-2024-10-28" "[constructor]tensor"
    (func $tensor (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi:nn/tensor@0.2.0-rc-2024-10-28" "[method]tensor.data"
    (func $data (param i32 i32)))
  (import "wasi:nn/tensor@0.2.0-rc-2024-10-28" "[resource-drop]tensor"
    (func $drop-tensor (param i32)))
  (import "wasi:nn/inference@0.2.0-rc-2024-10-28" "[method]graph-execution-context.compute"
    (func $run (param i32 i32 i32 i32)))
  (import "wasi:nn/errors@0.2.0-rc-2024-10-28" "[method]error.code"
    (func $code (param i32) (result i32)))
  (import "wasi:nn/errors@0.2.0-rc-2024-10-28" "[resource-drop]error"
    (func $drop-error (param i32)))

  ;; The newest block, and room for what calls return before there is one.
  (global $blocks (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))

  ;; What calls return has its room there too.
  (func (export "cabi_import_realloc") (param i32 i32 i32 i32) (result i32)
    (call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3)))

  (func $returned (result i32)
    (if (i32.eqz (global.get $room))
      (then (global.set $room
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 16)))))
    (global.get $room))

  ;; The number of an error in the older form. The error is of no more use.
  (func $failed (param $error i32) (result i32)
    (local $code i32)
    (local.set $code (call $code (local.get $error)))
    (call $drop-error (local.get $error))
    ;; invalid-argument, invalid-encoding
    (if (i32.le_u (local.get $code) (i32.const 1))
      (then (return (i32.add (local.get $code) (i32.const 1)))))
    ;; unsupported-operation, too-large, not-found
    (if (i32.and
          (i32.ge_u (local.get $code) (i32.const 4))
          (i32.le_u (local.get $code) (i32.const 6)))
      (then (return (i32.add (local.get $code) (i32.const 2)))))
    ;; all others: a runtime error
    (i32.const 5))

  ;; A handle from what a call returned, or the number of its error.
  (func $taken (param $returned i32) (param $into i32) (result i32)
    (if (i32.load8_u (local.get $returned))
      (then (return (call $failed (i32.load offset=4 (local.get $returned))))))
    (i32.store (local.get $into) (i32.load offset=4 (local.get $returned)))
    (i32.const 0))

  ;; The block of a context; 0 when there is none.
  (func $block (param $context i32) (result i32)
    (local $block i32)
    (local.set $block (global.get $blocks))
    (loop $next
      (if (i32.eqz (local.get $block)) (then (return (i32.const 0))))
      (if (i32.eq (i32.load offset=4 (local.get $block)) (local.get $context))
        (then (return (local.get $block))))
      (local.set $block (i32.load (local.get $block)))
      (br $next))
    (unreachable))

  (func (export "load") (param i32 i32 i32 i32 i32) (result i32)
    ;; The host loads nothing from bytes.
    (i32.const 6))

  (func (export "load_by_name") (param $name i32) (param $length i32) (param $into i32) (result i32)
    (call $load-by-name (local.get $name) (local.get $length) (call $returned))
    (call $taken (call $returned) (local.get $into)))

  (func (export "init_execution_context") (param $graph i32) (param $into i32) (result i32)
    (local $block i32) (local $at i32) (local $number i32)
    (call $init (local.get $graph) (call $returned))
    (local.set $number (call $taken (call $returned) (local.get $into)))
    (if (local.get $number) (then (return (local.get $number))))
    (local.set $block
      (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 924)))
    (memory.fill (local.get $block) (i32.const 0) (i32.const 924))
    (i32.store (local.get $block) (global.get $blocks))
    (i32.store offset=4 (local.get $block) (i32.load (local.get $into)))
    (global.set $blocks (local.get $block))
    (loop $next
      (local.set $at (i32.add (local.get $block) (i32.mul (local.get $number) (i32.const 12))))
      (i32.store8 offset=796
        (i32.add (local.get $block) (i32.shl (local.get $number) (i32.const 1)))
        (i32.add (i32.const 48) (i32.div_u (local.get $number) (i32.const 10))))
      (i32.store8 offset=797
        (i32.add (local.get $block) (i32.shl (local.get $number) (i32.const 1)))
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (i32.store offset=28 (local.get $at)
        (i32.add
          (i32.add (local.get $block) (i32.const 796))
          (i32.shl (local.get $number) (i32.const 1))))
      (i32.store offset=32 (local.get $at) (i32.const 2))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $number) (i32.const 64))))
    (i32.const 0))

  ;; The tensor in memory: 0 dimensions, 8 type, 12 data.
  (func (export "set_input") (param $context i32) (param $index i32) (param $from i32) (result i32)
    (local $block i32) (local $type i32)
    (local.set $block (call $block (local.get $context)))
    (local.set $type (i32.load8_u offset=8 (local.get $from)))
    (if (i32.or
          (i32.eqz (local.get $block))
          (i32.or
            (i32.ge_u (local.get $index) (i32.const 64))
            (i32.gt_u (local.get $type) (i32.const 5))))
      (then (return (i32.const 1))))
    ;; The newer form has BF16 before U8.
    (local.set $type
      (i32.add (local.get $type) (i32.ge_u (local.get $type) (i32.const 3))))
    (local.set $block
      (i32.add (local.get $block) (i32.mul (local.get $index) (i32.const 12))))
    (if (i32.load offset=36 (local.get $block))
      (then (call $drop-tensor (i32.load offset=36 (local.get $block)))))
    (i32.store offset=36 (local.get $block)
      (call $tensor
        (i32.load (local.get $from)) (i32.load offset=4 (local.get $from))
        (local.get $type)
        (i32.load offset=12 (local.get $from)) (i32.load offset=16 (local.get $from))))
    (i32.const 0))

  (func (export "compute") (param $context i32) (result i32)
    (local $block i32) (local $at i32) (local $count i32)
    (local.set $block (call $block (local.get $context)))
    (if (i32.eqz (local.get $block)) (then (return (i32.const 1))))
    ;; What an earlier run gave.
    (local.set $at (i32.load offset=8 (local.get $block)))
    (local.set $count (i32.load offset=12 (local.get $block)))
    (i32.store offset=12 (local.get $block) (i32.const 0))
    (block $dropped
      (loop $next
        (br_if $dropped (i32.eqz (local.get $count)))
        (call $drop-tensor (i32.load offset=8 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    ;; The inputs are those up to the first that was not set.
    (local.set $at (local.get $block))
    (block $counted
      (loop $next
        (br_if $counted (i32.eqz (i32.load offset=36 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 64)))))
    (call $run
      (local.get $context)
      (i32.add (local.get $block) (i32.const 28)) (local.get $count)
      (i32.add (local.get $block) (i32.const 16)))
    ;; They are the host's now.
    (block $cleared
      (loop $next
        (br_if $cleared (i32.eqz (local.get $count)))
        (local.set $at (i32.sub (local.get $at) (i32.const 12)))
        (i32.store offset=36 (local.get $at) (i32.const 0))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (if (i32.load8_u offset=16 (local.get $block))
      (then (return (call $failed (i32.load offset=20 (local.get $block))))))
    (i32.store offset=8 (local.get $block) (i32.load offset=20 (local.get $block)))
    (i32.store offset=12 (local.get $block) (i32.load offset=24 (local.get $block)))
    (i32.const 0))

  (func (export "get_output")
    (param $context i32) (param $index i32) (param $into i32) (param $room i32) (param $size i32)
    (result i32)
    (local $block i32) (local $length i32)
    (local.set $block (call $block (local.get $context)))
    (if (i32.eqz (local.get $block)) (then (return (i32.const 1))))
    (if (i32.ge_u (local.get $index) (i32.load offset=12 (local.get $block)))
      (then (return (i32.const 1))))
    (call $data
      (i32.load offset=8
        (i32.add
          (i32.load offset=8 (local.get $block))
          (i32.mul (local.get $index) (i32.const 12))))
      (i32.add (local.get $block) (i32.const 16)))
    (local.set $length (i32.load offset=20 (local.get $block)))
    (if (i32.gt_u (local.get $length) (local.get $room)) (then (return (i32.const 7))))
    (memory.copy
      (local.get $into) (i32.load offset=16 (local.get $block)) (local.get $length))
    (i32.store (local.get $size) (local.get $length))
    (i32.const 0)))
