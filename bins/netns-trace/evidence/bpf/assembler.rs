//! Writes instructions of BPF, jumps by labels. Pure.
//!
//! <https://docs.kernel.org/bpf/standardization/instruction-set.html>

/// The registers: R1 to R5 are arguments, and lost by a call; R6 to R9 are kept; R10 is the end of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R9,
    R10,
}

/// How much is loaded or stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

/// What is compared, unsigned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition {
    Equal = 0x10,
    NotEqual = 0x50,
}

/// A function of the kernel's: enum bpf_func_id.
#[derive(Debug, Clone, Copy)]
pub(super) enum KernelFunction {
    /// R0 = nanoseconds by CLOCK_MONOTONIC.
    Now = 5,
    /// Reads R2 bytes at R3 of the kernel's memory to R1; zeroes where there is none, and R0 is not 0.
    Read = 113,
    /// Writes R3 bytes at R2 into the ring R1, with the flags R4.
    Tell = 130,
    /// Writes the addresses of the functions that have called each other to R2, in R3 bytes; R1 is what the program was given.
    Callers = 67,
}

const LOAD: u8 = 0x61; // BPF_LDX | BPF_MEM
const STORE_NUMBER: u8 = 0x62; // BPF_ST | BPF_MEM
const STORE: u8 = 0x63; // BPF_STX | BPF_MEM
const LOAD_WIDE: u8 = 0x18; // BPF_LD | BPF_IMM | BPF_DW
const MAP_BY_FD: u8 = 1; // BPF_PSEUDO_MAP_FD
const VALUE_BY_FD: u8 = 2; // BPF_PSEUDO_MAP_VALUE
const ADD_AT: u8 = 0xdb; // BPF_STX | BPF_DW | BPF_ATOMIC, with BPF_ADD, which is 0
const ADD: u8 = 0x07; // BPF_ALU64 | BPF_ADD
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const MOVE: u8 = 0xb7;
const FROM_REGISTER: u8 = 0x08; // BPF_X
const JUMP: u8 = 0x05; // BPF_JMP | BPF_JA
const JUMP_BY_WORD: u8 = 0x06; // BPF_JMP32
const CALL: u8 = 0x85;
const BY_TYPE: u8 = 2; // BPF_PSEUDO_KFUNC_CALL
const EXIT: u8 = 0x95;

/// A place in a program, where it may be jumped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JumpLabel(usize);

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<[u8; 8]>,
    labels: Vec<Option<usize>>,
    /// Which instruction jumps to which label.
    jumps: Vec<(usize, JumpLabel)>,
}

impl Assembler {
    fn add_one(&mut self, code: u8, to: Register, from: u8, offset: i16, number: i32) {
        let registers =
            if cfg!(target_endian = "big") { (to as u8) << 4 | from } else { from << 4 | to as u8 };
        let ([a, b], [c, d, e, f]) = (offset.to_ne_bytes(), number.to_ne_bytes());
        self.code.push([code, registers, a, b, c, d, e, f]);
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.add_one(MOVE | FROM_REGISTER, to, from as u8, 0, 0);
    }

    /// `to = number`
    pub(super) fn set(&mut self, to: Register, number: i32) {
        self.add_one(MOVE, to, 0, 0, number);
    }

    /// `to = the ring of that descriptor`
    pub(super) fn set_map(&mut self, to: Register, fd: i32) {
        self.add_one(LOAD_WIDE, to, MAP_BY_FD, 0, fd);
        self.add_one(0, Register::R0, 0, 0, 0);
    }

    /// `to = the address of that byte of the counters of that descriptor`: Linux 5.2
    pub(super) fn set_counter(&mut self, to: Register, fd: i32, byte: i32) {
        self.add_one(LOAD_WIDE, to, VALUE_BY_FD, 0, fd);
        self.add_one(0, Register::R0, 0, 0, byte);
    }

    /// `*to += from`, all 64 bits at once, whoever else does the same
    pub(super) fn add_at(&mut self, to: Register, from: Register) {
        self.add_one(ADD_AT, to, from as u8, 0, 0);
    }

    /// `to += number`
    pub(super) fn add(&mut self, to: Register, number: i32) {
        self.add_one(ADD, to, 0, 0, number);
    }

    /// `to += from`
    pub(super) fn add_register(&mut self, to: Register, from: Register) {
        self.add_one(ADD | FROM_REGISTER, to, from as u8, 0, 0);
    }

    /// `to &= number`
    pub(super) fn and(&mut self, to: Register, number: i32) {
        self.add_one(AND, to, 0, 0, number);
    }

    /// `to >>= number`
    pub(super) fn shift_right(&mut self, to: Register, number: i32) {
        self.add_one(SHIFT_RIGHT, to, 0, 0, number);
    }

    /// `to = *(from + offset)`
    pub(super) fn load(&mut self, width: Width, to: Register, from: Register, offset: i16) {
        self.add_one(LOAD | width as u8, to, from as u8, offset, 0);
    }

    /// `*(to + offset) = from`
    pub(super) fn store(&mut self, width: Width, to: Register, offset: i16, from: Register) {
        self.add_one(STORE | width as u8, to, from as u8, offset, 0);
    }

    /// `*(to + offset) = number`
    pub(super) fn store_number(&mut self, width: Width, to: Register, offset: i16, number: i32) {
        self.add_one(STORE_NUMBER | width as u8, to, 0, offset, number);
    }

    /// A label that stands nowhere yet.
    pub(super) fn label(&mut self) -> JumpLabel {
        self.labels.push(None);
        JumpLabel(self.labels.len() - 1)
    }

    /// The label stands here.
    pub(super) fn place(&mut self, label: JumpLabel) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// Goes on at the label.
    pub(super) fn jump(&mut self, to: JumpLabel) {
        self.jumps.push((self.code.len(), to));
        self.add_one(JUMP, Register::R0, 0, 0, 0);
    }

    /// Goes on at the label if all 64 bits of the register are so.
    pub(super) fn jump_if(&mut self, one: Register, how: Condition, number: i32, to: JumpLabel) {
        self.jumps.push((self.code.len(), to));
        self.add_one(JUMP | how as u8, one, 0, 0, number);
    }

    /// The same of the register's lower 32 bits: Linux 5.1.
    pub(super) fn jump_if_word(&mut self, one: Register, how: Condition, word: u32, to: JumpLabel) {
        self.jumps.push((self.code.len(), to));
        self.add_one(JUMP_BY_WORD | how as u8, one, 0, 0, word.cast_signed());
    }

    /// Calls a function of the kernel's.
    pub(super) fn call(&mut self, function: KernelFunction) {
        self.add_one(CALL, Register::R0, 0, 0, function as i32);
    }

    /// Calls the function of the kernel's with that number among its types.
    pub(super) fn call_typed(&mut self, number: u32) {
        self.add_one(CALL, Register::R0, BY_TYPE, 0, number.cast_signed());
    }

    /// Ends the program; R0 has its result.
    pub(super) fn exit(&mut self) {
        self.add_one(EXIT, Register::R0, 0, 0, 0);
    }

    /// The program; nothing if a jump leads to a label that stands nowhere, or farther than a jump can.
    pub(super) fn finish(mut self) -> Option<Vec<[u8; 8]>> {
        for (at, label) in &self.jumps {
            let place = self.labels.get(label.0).copied().flatten()?;
            let distance = i16::try_from(place as i64 - *at as i64 - 1).ok()?;
            self.code[*at][2..4].copy_from_slice(&distance.to_ne_bytes());
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::Register::*;
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn instructions_are_the_kernels_own_bytes() {
        let mut code = Assembler::default();
        let end = code.label();
        code.load(Width::Double, R6, R1, 16);
        code.store(Width::Byte, R10, -8, R6);
        code.store_number(Width::Word, R10, -4, 7);
        code.jump_if_word(R6, Condition::NotEqual, 0xffff_fffe, end);
        code.jump_if(R6, Condition::Equal, 1, end);
        code.copy(R2, R10);
        code.add(R2, -8);
        code.and(R2, 0xff);
        code.shift_right(R2, 3);
        code.set_map(R1, 5);
        code.call(KernelFunction::Tell);
        code.set_counter(R1, 6, 8);
        code.add_at(R1, R2);
        code.place(end);
        code.set(R0, 0);
        code.exit();
        let expected: [[u8; 8]; 17] = [
            [0x79, 0x16, 16, 0, 0, 0, 0, 0],
            [0x73, 0x6a, 0xf8, 0xff, 0, 0, 0, 0],
            [0x62, 0x0a, 0xfc, 0xff, 7, 0, 0, 0],
            [0x56, 0x06, 11, 0, 0xfe, 0xff, 0xff, 0xff],
            [0x15, 0x06, 10, 0, 1, 0, 0, 0],
            [0xbf, 0xa2, 0, 0, 0, 0, 0, 0],
            [0x07, 0x02, 0, 0, 0xf8, 0xff, 0xff, 0xff],
            [0x57, 0x02, 0, 0, 0xff, 0, 0, 0],
            [0x77, 0x02, 0, 0, 3, 0, 0, 0],
            [0x18, 0x11, 0, 0, 5, 0, 0, 0],
            [0; 8],
            [0x85, 0, 0, 0, 130, 0, 0, 0],
            [0x18, 0x21, 0, 0, 6, 0, 0, 0],
            [0, 0, 0, 0, 8, 0, 0, 0],
            [0xdb, 0x21, 0, 0, 0, 0, 0, 0],
            [0xb7, 0, 0, 0, 0, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(code.finish().unwrap(), expected);
    }

    #[test]
    fn a_jump_to_nowhere_is_no_program() {
        let mut code = Assembler::default();
        let nowhere = code.label();
        code.jump(nowhere);
        assert_eq!(code.finish(), None);
        let (mut code, mut backwards) = (Assembler::default(), Assembler::default());
        let far = code.label();
        code.jump(far);
        (0..40_000).for_each(|_| code.exit());
        code.place(far);
        assert_eq!(code.finish(), None);
        let start = backwards.label();
        backwards.place(start);
        backwards.add_register(R0, R1);
        backwards.jump(start);
        backwards.call_typed(9);
        let written = backwards.finish().unwrap();
        assert_eq!(written[1][2..4], (-2_i16).to_ne_bytes());
        assert_eq!((written[2][0], &written[2][4..]), (CALL, &9_i32.to_ne_bytes()[..]));
    }
}
